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
    kolo_args args;        /* its name may be gone, and is the request's; its lists may be, too: */
    int64_t words[];       /* of each output, then of each input: where it lies, its type, its shape */
};

/* ---- what a list says -------------------------------------------------------------------------------------------- */

/* As few words as tell a tensor from another: thousands are read in each call. An input without data has no type. */
enum { ADDRESS, TYPE, SHAPE };
enum { IN_PLACE = -1 };

static inline int64_t address_of(const kolo_tensor *tensor)
{
    return tensor->data != NULL ? (int64_t)((uintptr_t)tensor->data + tensor->byte_offset) : 0;
}

static inline int64_t type_of(const kolo_tensor *tensor)
{
    uint32_t dtype;
    _Static_assert(sizeof(dtype) == sizeof(tensor->dtype), "a type is four bytes");
    memcpy(&dtype, &tensor->dtype, sizeof(dtype));
    return (int64_t)((uint64_t)(uint32_t)tensor->ndim << 32 | dtype);
}

/* Its words, and what lies behind them; NULL: they are another's. */
static inline const int64_t *match(const kolo_tensor *tensor, const int64_t *words)
{
    if (address_of(tensor) != words[ADDRESS] || type_of(tensor) != words[TYPE] || tensor->strides != NULL ||
        tensor->device_type != KOLO_DEVICE_CPU || (tensor->ndim > 0 && tensor->shape == NULL))
        return NULL;
    for (int32_t d = 0; d < tensor->ndim; d++)
        if (tensor->shape[d] != words[SHAPE + d])
            return NULL;
    return words + SHAPE + tensor->ndim;
}

static int64_t *write(const kolo_tensor *tensor, int64_t *words)
{
    words[ADDRESS] = address_of(tensor);
    words[TYPE] = type_of(tensor);
    for (int32_t d = 0; d < tensor->ndim; d++)
        words[SHAPE + d] = tensor->shape[d];
    return words + SHAPE + tensor->ndim;
}

static const int64_t *match_outputs(const kolo_args *args, const int64_t *words)
{
    for (size_t i = 0; words != NULL && i < args->tensors; i++)
        words = match(&args->outputs[i], words);
    return words;
}

/* An input without data is in place: nothing else counts. */
static const int64_t *match_inputs(const kolo_args *args, const int64_t *words)
{
    for (size_t i = 0; args->inputs != NULL && words != NULL && i < args->tensors; i++) {
        const kolo_tensor *input = &args->inputs[i];
        if ((input->data == NULL) != (words[TYPE] == IN_PLACE))
            return NULL;
        words = input->data != NULL ? match(input, words) : words + SHAPE;
    }
    return words;
}

static void write_all(const kolo_args *args, int64_t *words)
{
    for (size_t i = 0; i < args->tensors; i++)
        words = write(&args->outputs[i], words);
    for (size_t i = 0; args->inputs != NULL && i < args->tensors; i++) {
        if (args->inputs[i].data != NULL) {
            words = write(&args->inputs[i], words);
        } else {
            words[ADDRESS] = 0;
            words[TYPE] = IN_PLACE;
            words += SHAPE;
        }
    }
}

static size_t count_words(const kolo_args *args)
{
    size_t words = 0;
    for (size_t i = 0; i < args->tensors; i++) {
        words += SHAPE + (size_t)args->outputs[i].ndim;
        if (args->inputs != NULL)
            words += SHAPE + (size_t)(args->inputs[i].data != NULL ? args->inputs[i].ndim : 0);
    }
    return words;
}

/* ---- one -------------------------------------------------------------------------------------------------------- */

static bool is_same_part(const kolo_args *a, const kolo_args *b, size_t from, size_t to)
{
    return memcmp((const char *)a + from, (const char *)b + from, to - from) == 0;
}

/* All that args say of the operation: what stands before the lists, and behind them. */
static bool is_same_operation(const kolo_again *again, const kolo_args *args)
{
    return args->name != NULL && strcmp(args->name, again->request->name) == 0 &&
           is_same_part(args, &again->args, offsetof(kolo_args, input), offsetof(kolo_args, inputs)) &&
           (args->inputs == NULL) == (again->args.inputs == NULL) &&
           is_same_part(args, &again->args, offsetof(kolo_args, tensors), sizeof(*args));
}

static bool is_again(const kolo_again *again, const kolo_args *args)
{
    if (args->outputs == NULL || !is_same_operation(again, args))
        return false;
    return match_inputs(args, match_outputs(args, again->words)) != NULL;
}

/* What is remembered has no place for them. */
static bool has_strides(const kolo_tensor *tensors, size_t count)
{
    for (size_t i = 0; tensors != NULL && i < count; i++)
        if (tensors[i].strides != NULL)
            return true;
    return false;
}

bool kolo_again_is_possible(const kolo_args *args)
{
    return args->name != NULL && args->done == NULL && args->flags == 0 && !has_strides(args->outputs, args->tensors) &&
           !has_strides(args->inputs, args->tensors);
}

kolo_again *kolo_again_make(const kolo_args *args, kolo_request *request)
{
    kolo_again *made = malloc(sizeof(*made) + count_words(args) * sizeof(int64_t));
    if (made == NULL)
        return NULL;
    *made = (kolo_again){.request = request, .args = *args};
    write_all(args, made->words);
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

kolo_again *kolo_agains_take(kolo_agains *agains, const kolo_args *args)
{
    pthread_mutex_lock(&agains->lock);
    kolo_again **at = &agains->first;
    while (*at != NULL && !is_again(*at, args))
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
    for (kolo_again *surplus; (surplus = unlink_surplus(agains, again->request->name)) != NULL;)
        kolo_again_drop(surplus);
    pthread_mutex_unlock(&agains->lock);
}
