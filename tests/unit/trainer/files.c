/* files.c - scratch files for the trainer's tests. */
#include "unit/trainer/files.h"

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

static char folder[PATH_MAX];

int files_setup(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/kolo-trainer-XXXXXX", base != NULL ? base : "/tmp");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

int files_teardown(void **state)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    (void)state;
    if (dir == NULL)
        return -1;
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    return rmdir(folder);
}

const char *files_folder(void)
{
    return folder;
}

const char *files_path(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];

    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        fail_msg("path too long");
    return path;
}

void files_write(const char *name, const void *data, size_t bytes)
{
    FILE *file = fopen(files_path(name), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void files_write_gzip(const char *name, const void *data, size_t bytes)
{
    gzFile file = gzopen(files_path(name), "wb");

    assert_non_null(file);
    assert_int_equal(gzwrite(file, data, (unsigned)bytes), bytes);
    assert_int_equal(gzclose(file), Z_OK);
}

uint8_t *files_read(const char *name, size_t *bytes)
{
    FILE *file = fopen(files_path(name), "rb");

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    assert_int_equal(fclose(file), 0);
    return data;
}

size_t files_make_idx(uint8_t *buffer, uint32_t ndim, const uint32_t *dims, uint32_t modulus)
{
    size_t header = 4 + 4 * (size_t)ndim;
    size_t count = 1;

    memset(buffer, 0, header);
    buffer[2] = 8;
    buffer[3] = (uint8_t)ndim;
    for (uint32_t i = 0; i < ndim; i++) {
        for (uint32_t byte = 0; byte < 4; byte++)
            buffer[4 + 4 * i + byte] = (uint8_t)(dims[i] >> (24 - 8 * byte));
        count *= dims[i];
    }
    for (size_t i = 0; i < count; i++)
        buffer[header + i] = (uint8_t)(i % modulus);
    return header + count;
}
