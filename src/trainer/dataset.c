/* dataset.c - finds, checks and normalises the four files. */
#include "trainer/dataset.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "trainer/kernels.h"
#include "trainer/model.h"

/* folder/name.gz where it exists, else folder/name. */
static bool find_file(const char *folder, const char *name, char path[PATH_MAX], train_failure *failure)
{
    int length = snprintf(path, PATH_MAX, "%s/%s.gz", folder, name);

    if (length < 0 || length >= PATH_MAX)
        return train_fail(failure, "the path of the data folder is too long (%zu bytes)", strlen(folder));
    if (access(path, F_OK) == 0)
        return true;
    path[length - 3] = '\0';
    if (access(path, F_OK) == 0)
        return true;
    return train_fail(
        failure,
        "neither %s.gz nor %s exists; install the data with \"apt install dataset-fashion-mnist\", or name "
        "its folder with --data",
        path, path);
}

static bool check_labels(const train_dataset *set, const char *path, train_failure *failure)
{
    for (uint64_t i = 0; i < set->labels.count; i++)
        if (set->labels.data[i] >= TRAIN_CLASSES)
            return train_fail(failure,
                              "%s: the label at offset %" PRIu64
                              " is %u; labels are 0 to %d. Install the data again: apt "
                              "install --reinstall dataset-fashion-mnist",
                              path, i + 8, set->labels.data[i], TRAIN_CLASSES - 1);
    return true;
}

static bool read_set(train_dataset *set, const char *folder, const char *kind, train_failure *failure)
{
    char name[64];
    char images_path[PATH_MAX];
    char labels_path[PATH_MAX];

    (void)snprintf(name, sizeof name, "%s-images-idx3-ubyte", kind);
    if (!find_file(folder, name, images_path, failure) || !train_idx_read(images_path, 3, &set->images, failure))
        return false;
    (void)snprintf(name, sizeof name, "%s-labels-idx1-ubyte", kind);
    if (!find_file(folder, name, labels_path, failure) || !train_idx_read(labels_path, 1, &set->labels, failure))
        return false;

    if (set->images.dims[0] != set->labels.dims[0])
        return train_fail(failure,
                          "%s holds %" PRIu32 " pictures, but %s holds %" PRIu32 " labels; they do not belong together",
                          images_path, set->images.dims[0], labels_path, set->labels.dims[0]);
    uint64_t pixels = set->images.count / set->images.dims[0];
    if (pixels > TRAIN_MAX_WIDTH)
        return train_fail(
            failure, "%s: pictures of %" PRIu32 " x %" PRIu32 " pixels are too large; at most %d pixels are possible",
            images_path, set->images.dims[1], set->images.dims[2], TRAIN_MAX_WIDTH);
    set->pixels = (int32_t)pixels;
    set->count = (int64_t)set->images.dims[0];
    return check_labels(set, labels_path, failure);
}

/* Exact integer sums, so that the mean does not depend on how they were added. */
static void normalize(train_dataset *training, train_dataset *test)
{
    uint64_t histogram[256] = {0};
    uint64_t bytes = (uint64_t)training->count * (uint64_t)training->pixels;
    double sum = 0;
    double squares = 0;

    for (uint64_t i = 0; i < bytes; i++)
        histogram[training->images.data[i]]++;
    for (int value = 0; value < 256; value++) {
        sum += (double)histogram[value] * value;
        squares += (double)histogram[value] * value * value;
    }
    double mean = sum / (double)bytes;
    double variance = squares / (double)bytes - mean * mean;
    double deviation = variance > 0 ? sqrt(variance) : 1.0;

    training->scale = test->scale = (float)(1.0 / deviation);
    training->shift = test->shift = (float)(-mean / deviation);
}

static bool read_data(train_data *data, const char *folder, int64_t limit, train_failure *failure)
{
    const train_idx *one = &data->training.images;
    const train_idx *two = &data->test.images;

    if (!read_set(&data->training, folder, "train", failure) || !read_set(&data->test, folder, "t10k", failure))
        return false;
    if (one->dims[1] != two->dims[1] || one->dims[2] != two->dims[2])
        return train_fail(failure,
                          "%s: the training pictures have %" PRIu32 " x %" PRIu32 " pixels, the test pictures %" PRIu32
                          " x %" PRIu32 "; they do not belong together",
                          folder, one->dims[1], one->dims[2], two->dims[1], two->dims[2]);
    if (limit > 0 && limit < data->training.count)
        data->training.count = limit;
    normalize(&data->training, &data->test);
    return true;
}

bool train_data_read(train_data *data, const char *folder, int64_t limit, train_failure *failure)
{
    memset(data, 0, sizeof *data);
    if (read_data(data, folder, limit, failure))
        return true;
    train_data_fini(data);
    return false;
}

void train_data_fini(train_data *data)
{
    train_idx_fini(&data->training.images);
    train_idx_fini(&data->training.labels);
    train_idx_fini(&data->test.images);
    train_idx_fini(&data->test.labels);
    memset(data, 0, sizeof *data);
}

uint32_t train_dataset_checksum(const train_dataset *dataset)
{
    uLong crc = crc32_z(0, NULL, 0);

    crc = crc32_z(crc, dataset->images.data, (size_t)dataset->count * (size_t)dataset->pixels);
    return (uint32_t)crc32_z(crc, dataset->labels.data, (size_t)dataset->count);
}

void train_dataset_gather(const train_dataset *dataset, const uint32_t *indices, int64_t first, int64_t count,
                          float *inputs, uint8_t *labels)
{
    int64_t pixels = dataset->pixels;

    for (int64_t i = 0; i < count; i++) {
        int64_t index = indices != NULL ? (int64_t)indices[i] : first + i;

        train_kernel_normalize(dataset->images.data + index * pixels, pixels, dataset->scale, dataset->shift,
                               inputs + i * pixels);
        labels[i] = dataset->labels.data[index];
    }
}
