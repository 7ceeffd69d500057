/* again.c - see again.h. */
#include "api/again.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A job has a few groups in each step, and may take two sets of tensors in turns. */
enum { KEPT = 64, OF_A_NAME = 2 };

struct kolo_again {
    struct kolo_again *next;
    kolo_request *request; /* one reference */
    kolo_args first;       /* args[0]; its name may be gone, and is the request's */
    size_t count;
    kolo_tensor *inputs; /* NULL: all are in place */
    kolo_tensor *outputs;
    int64_t *dims; /* shape, and strides if any, of each output, and of the input behind it if there is one */
};

/* ---- comparing -------------------------------------------------------------------------------------------------- */

/* What makes two tensors the same, but for their dimensions: shape and strides may lie somewhere else. */
static inline bool is_like(const kolo_tensor *a, const kolo_tensor *b)
{
    return memcmp(a, b, offsetof(kolo_tensor, shape)) == 0 && (a->strides == NULL) == (b->strides == NULL) &&
           a->byte_offset == b->byte_offset;
}

/* *dims: what to compare with; then behind it. */
static inline bool has_dims(const int64_t *numbers, int32_t ndim, const int64_t **dims)
{
    for (int32_t d = 0; d < ndim; d++)
        if (numbers[d] != *(*dims)++)
            return false;
    return true;
}

/* *dims: those of b; then behind them. */
static inline bool is_same(const kolo_tensor *a, const kolo_tensor *b, const int64_t **dims)
{
    if (!is_like(a, b) || (a->ndim > 0 && a->shape == NULL) || !has_dims(a->shape, a->ndim, dims))
        return false;
    return a->strides == NULL || has_dims(a->strides, a->ndim, dims);
}

/* All that one args says for the others. */
static bool is_same_operation(const kolo_again *again, const kolo_args *args)
{
    size_t from = offsetof(kolo_args, op);
    return args->name != NULL && strcmp(args->name, again->request->name) == 0 &&
           memcmp((const char *)args + from, (const char *)&again->first + from, sizeof(*args) - from) == 0;
}

static bool are_same_tensors(const kolo_again *again, const kolo_args *args)
{
    enum { AHEAD = 8 }; /* a prefetch reads nothing, so it may lie behind the last one */
    const int64_t *dims = again->dims;
    for (size_t i = 0; i < again->count; i++) {
        __builtin_prefetch(&args[i + AHEAD].output);
        if (args[i].struct_size != sizeof(*args) || !is_same(&args[i].output, &again->outputs[i], &dims))
            return false;
        bool in_place = again->inputs == NULL || again->inputs[i].data == NULL;
        if (in_place ? args[i].input.data != NULL : !is_same(&args[i].input, &again->inputs[i], &dims))
            return false;
    }
    return true;
}

static bool is_again(const kolo_again *again, const kolo_args *args, size_t count)
{
    return again->count == count && args->struct_size == sizeof(*args) && is_same_operation(again, args) &&
           are_same_tensors(again, args);
}

/* ---- one -------------------------------------------------------------------------------------------------------- */

bool kolo_again_is_possible(const kolo_args *args)
{
    return args->struct_size == sizeof(*args) && args->name != NULL && args->done == NULL && args->flags == 0;
}

static size_t count_dims(const kolo_tensor *tensor)
{
    return (size_t)tensor->ndim * (tensor->strides != NULL ? 2 : 1);
}

static int64_t *copy_dims(int64_t *to, const kolo_tensor *tensor)
{
    for (int32_t d = 0; d < tensor->ndim; d++)
        *to++ = tensor->shape[d];
    for (int32_t d = 0; tensor->strides != NULL && d < tensor->ndim; d++)
        *to++ = tensor->strides[d];
    return to;
}

static void fill(kolo_again *again, const kolo_args *args)
{
    int64_t *dims = again->dims;
    for (size_t i = 0; i < again->count; i++) {
        again->outputs[i] = args[i].output;
        dims = copy_dims(dims, &args[i].output);
        if (again->inputs != NULL)
            again->inputs[i] = args[i].input;
        if (args[i].input.data != NULL)
            dims = copy_dims(dims, &args[i].input);
    }
}

kolo_again *kolo_again_make(const kolo_args *args, size_t count, kolo_request *request)
{
    size_t dims = 0;
    bool in_place = true;
    for (size_t i = 0; i < count; i++) {
        in_place = in_place && args[i].input.data == NULL;
        dims += count_dims(&args[i].output) + (args[i].input.data != NULL ? count_dims(&args[i].input) : 0);
    }
    size_t lists = in_place ? 1 : 2;
    kolo_again *made = malloc(sizeof(*made) + lists * count * sizeof(kolo_tensor) + dims * sizeof(int64_t));
    if (made == NULL)
        return NULL;
    *made = (kolo_again){.request = request, .first = args[0], .count = count};
    made->outputs = (kolo_tensor *)(void *)(made + 1);
    made->inputs = in_place ? NULL : made->outputs + count;
    made->dims = (int64_t *)(void *)(made->outputs + lists * count);
    fill(made, args);
    return made;
}

void kolo_again_drop(kolo_again *again)
{
    kolo_request_release(again->request);
    free(again);
}

kolo_request *kolo_again_request(const kolo_again *again)
{
    return again->request;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

void kolo_agains_init(kolo_agains *agains)
{
    pthread_mutex_init(&agains->lock, NULL);
    agains->first = NULL;
}

void kolo_agains_fini(kolo_agains *agains)
{
    for (kolo_again *next = agains->first; next != NULL;) {
        kolo_again *again = next;
        next = again->next;
        kolo_again_drop(again);
    }
    agains->first = NULL;
    pthread_mutex_destroy(&agains->lock);
}

/* Takes it out of the list. */
static kolo_again *unlink_at(kolo_again **at)
{
    kolo_again *again = *at;
    *at = again->next;
    again->next = NULL;
    return again;
}

kolo_again *kolo_agains_take(kolo_agains *agains, const kolo_args *args, size_t count)
{
    pthread_mutex_lock(&agains->lock);
    kolo_again **at = &agains->first;
    while (*at != NULL && !is_again(*at, args, count))
        at = &(*at)->next;
    kolo_again *found = *at != NULL ? unlink_at(at) : NULL;
    pthread_mutex_unlock(&agains->lock);
    return found;
}

/* The one that has to go: the third of a name, or the last of all, which nobody has called for longest. NULL: none. */
static kolo_again *unlink_surplus(kolo_agains *agains, const char *name)
{
    int all = 0, of_the_name = 0;
    for (kolo_again **at = &agains->first; *at != NULL; at = &(*at)->next) {
        of_the_name += strcmp((*at)->request->name, name) == 0;
        if (of_the_name > OF_A_NAME || ++all > KEPT)
            return unlink_at(at);
    }
    return NULL;
}

static void link_first(kolo_agains *agains, kolo_again *again)
{
    again->next = agains->first;
    agains->first = again;
}

void kolo_agains_give(kolo_agains *agains, kolo_again *again)
{
    pthread_mutex_lock(&agains->lock);
    link_first(agains, again);
    pthread_mutex_unlock(&agains->lock);
}

void kolo_agains_add(kolo_agains *agains, kolo_again *again)
{
    pthread_mutex_lock(&agains->lock);
    link_first(agains, again);
    kolo_again *surplus = unlink_surplus(agains, again->request->name);
    pthread_mutex_unlock(&agains->lock);
    if (surplus != NULL)
        kolo_again_drop(surplus);
}
