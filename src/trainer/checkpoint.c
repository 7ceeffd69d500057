/* checkpoint.c - encodes, checks and decodes a training's state. */
#include "trainer/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the float vectors of a checkpoint are copied as they are: this needs a little-endian machine"
#endif

enum { VERSION = 1, HEADER_BYTES = 128, CRC_BYTES = 4 };

static const char magic[8] = {'K', 'O', 'L', 'O', 'T', 'R', 'N', '\n'};

typedef struct header {
    char magic[8];
    uint32_t version;
    uint32_t optimizer;
    uint64_t seed;
    uint64_t epochs_done;
    uint64_t steps;
    uint64_t file_bytes;
    uint32_t layer_count;
    uint32_t state_count;
    uint32_t sizes[TRAIN_MAX_LAYERS + 1];
    uint32_t zero;
} header;

_Static_assert(sizeof(header) == HEADER_BYTES, "no padding: the struct is the format");

static size_t vector_bytes(const train_checkpoint *checkpoint)
{
    return (size_t)checkpoint->model->vector_count * sizeof(float);
}

static size_t file_bytes(const train_checkpoint *checkpoint)
{
    return HEADER_BYTES + vector_bytes(checkpoint) * (size_t)(1 + checkpoint->optimizer->state_count) + CRC_BYTES;
}

static uint32_t crc_of(const uint8_t *data, size_t bytes)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, bytes);
}

static void encode(const train_checkpoint *checkpoint, uint8_t *file, size_t bytes)
{
    const train_optimizer *optimizer = checkpoint->optimizer;
    size_t vector = vector_bytes(checkpoint);
    header head = {.version = VERSION,
                   .optimizer = (uint32_t)optimizer->kind,
                   .seed = checkpoint->seed,
                   .epochs_done = (uint64_t)checkpoint->epochs_done,
                   .steps = (uint64_t)optimizer->steps,
                   .file_bytes = bytes,
                   .layer_count = (uint32_t)checkpoint->model->layer_count,
                   .state_count = (uint32_t)optimizer->state_count};

    memcpy(head.magic, magic, sizeof magic);
    for (int i = 0; i <= TRAIN_MAX_LAYERS; i++)
        head.sizes[i] = (uint32_t)checkpoint->model->sizes[i];
    memcpy(file, &head, sizeof head);
    memcpy(file + HEADER_BYTES, checkpoint->parameters, vector);
    for (int32_t i = 0; i < optimizer->state_count; i++)
        memcpy(file + HEADER_BYTES + vector * (size_t)(i + 1), optimizer->state[i], vector);

    uint32_t crc = crc_of(file, bytes - CRC_BYTES);
    memcpy(file + bytes - CRC_BYTES, &crc, sizeof crc);
}

bool train_checkpoint_write(const train_checkpoint *checkpoint, const char *path, train_failure *failure)
{
    size_t bytes = file_bytes(checkpoint);
    uint8_t *file = malloc(bytes);

    if (file == NULL)
        return train_fail(failure, "cannot write the checkpoint %s: out of memory for %zu bytes", path, bytes);
    encode(checkpoint, file, bytes);
    bool ok = train_file_replace(path, file, bytes, failure);
    free(file);
    return ok;
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool read_exactly(int fd, const char *path, void *data, size_t bytes, train_failure *failure)
{
    uint8_t *to = data;

    while (bytes > 0) {
        ssize_t got = read(fd, to, bytes);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return train_fail(failure, "cannot read the checkpoint %s: %s", path, strerror(errno));
        if (got == 0)
            return train_fail(failure, "the checkpoint %s became shorter while it was read; try again", path);
        to += got;
        bytes -= (size_t)got;
    }
    return true;
}

/* What can be said from the first bytes and the file's size: is it one of ours, and whole? */
static bool check_kind(const header *head, const char *path, uint64_t size, train_failure *failure)
{
    if (memcmp(head->magic, magic, sizeof magic) != 0)
        return train_fail(failure, "%s is not a checkpoint of kolo-train; give the right file with --checkpoint", path);
    if (head->version != VERSION)
        return train_fail(failure, "the checkpoint %s has format version %" PRIu32 ", this kolo-train reads version %d",
                          path, head->version, VERSION);
    if (head->file_bytes != size)
        return train_fail(failure,
                          "the checkpoint %s is damaged: it should have %" PRIu64 " bytes, and has %" PRIu64
                          "; leave out --resume to start over",
                          path, head->file_bytes, size);
    return true;
}

static void describe_sizes(const header *head, char *text, size_t text_bytes)
{
    train_model model = {.layer_count = (int32_t)head->layer_count};

    for (int i = 0; i <= TRAIN_MAX_LAYERS; i++)
        model.sizes[i] = (int32_t)head->sizes[i];
    (void)train_model_describe(&model, text, text_bytes);
}

/* Does the file, known to be undamaged, belong to this training? */
static bool check_training(const train_checkpoint *checkpoint, const header *head, const char *path,
                           train_failure *failure)
{
    const train_model *model = checkpoint->model;
    bool same = head->layer_count == (uint32_t)model->layer_count;
    char theirs[256];
    char ours[256];

    if (head->layer_count < 1 || head->layer_count > TRAIN_MAX_LAYERS)
        return train_fail(failure, "the checkpoint %s is invalid: it claims %" PRIu32 " layers", path,
                          head->layer_count);
    for (int i = 0; i <= TRAIN_MAX_LAYERS; i++)
        same = same && head->sizes[i] == (uint32_t)model->sizes[i];
    if (!same) {
        describe_sizes(head, theirs, sizeof theirs);
        return train_fail(failure, "the checkpoint %s holds a network %s, this training has %s; give the same --hidden",
                          path, theirs, train_model_describe(model, ours, sizeof ours));
    }
    if (head->optimizer != (uint32_t)checkpoint->optimizer->kind)
        return train_fail(failure, "the checkpoint %s was made with --optimizer %s, this training has %s", path,
                          train_optimizer_name((train_optimizer_kind)head->optimizer),
                          train_optimizer_name(checkpoint->optimizer->kind));
    if (head->seed != checkpoint->seed)
        return train_fail(failure, "the checkpoint %s was made with --seed %" PRIu64 ", this training has %" PRIu64,
                          path, head->seed, checkpoint->seed);
    if (head->state_count != (uint32_t)checkpoint->optimizer->state_count ||
        head->file_bytes != file_bytes(checkpoint) || head->epochs_done > INT32_MAX || head->steps > INT64_MAX)
        return train_fail(failure, "the checkpoint %s is invalid: its header contradicts itself", path);
    return true;
}

static bool read_file(train_checkpoint *checkpoint, int fd, const char *path, uint8_t **file, train_failure *failure)
{
    struct stat info;
    header head;

    if (fstat(fd, &info) != 0)
        return train_fail(failure, "cannot read the checkpoint %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return train_fail(failure, "%s is not a file; give the right one with --checkpoint", path);
    if (info.st_size < HEADER_BYTES + CRC_BYTES)
        return train_fail(failure, "%s is not a checkpoint of kolo-train, or is truncated: it has only %lld bytes",
                          path, (long long)info.st_size);
    if (!read_exactly(fd, path, &head, sizeof head, failure) ||
        !check_kind(&head, path, (uint64_t)info.st_size, failure))
        return false;

    size_t bytes = (size_t)info.st_size;
    uint32_t crc;
    *file = malloc(bytes);
    if (*file == NULL)
        return train_fail(failure, "cannot read the checkpoint %s: out of memory for %zu bytes", path, bytes);
    memcpy(*file, &head, sizeof head);
    if (!read_exactly(fd, path, *file + HEADER_BYTES, bytes - HEADER_BYTES, failure))
        return false;
    memcpy(&crc, *file + bytes - CRC_BYTES, sizeof crc);
    if (crc != crc_of(*file, bytes - CRC_BYTES))
        return train_fail(
            failure, "the checkpoint %s is damaged: its check sum is wrong; leave out --resume to start over", path);
    return check_training(checkpoint, &head, path, failure);
}

static void decode(train_checkpoint *checkpoint, const uint8_t *file)
{
    train_optimizer *optimizer = checkpoint->optimizer;
    size_t vector = vector_bytes(checkpoint);
    header head;

    memcpy(&head, file, sizeof head);
    checkpoint->epochs_done = (int64_t)head.epochs_done;
    optimizer->steps = (int64_t)head.steps;
    memcpy(checkpoint->parameters, file + HEADER_BYTES, vector);
    for (int32_t i = 0; i < optimizer->state_count; i++)
        memcpy(optimizer->state[i], file + HEADER_BYTES + vector * (size_t)(i + 1), vector);
}

bool train_checkpoint_read(train_checkpoint *checkpoint, const char *path, train_failure *failure)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *file = NULL;

    if (fd < 0 && errno == ENOENT)
        return train_fail(
            failure, "there is no checkpoint %s to resume from; leave out --resume to start from the beginning", path);
    if (fd < 0)
        return train_fail(failure, "cannot open the checkpoint %s: %s", path, strerror(errno));
    bool ok = read_file(checkpoint, fd, path, &file, failure);
    if (ok)
        decode(checkpoint, file);
    free(file);
    close(fd);
    return ok;
}
