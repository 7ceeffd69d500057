/* test_loading.c PATH - libkolo.so the way a framework takes it: dlopen, one symbol, the table; and away with it. */
#include "unit/api/host.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *path;

typedef const kolo_api *(*getter)(uint32_t abi_major, uint32_t min_minor);

static void *load(const kolo_api **api)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fail_msg("%s", dlerror());
    void *symbol = dlsym(library, "kolo_get_api");
    getter get;
    assert_non_null(symbol);
    memcpy(&get, &symbol, sizeof(get));
    *api = get(1, 0);
    assert_non_null(*api);
    assert_true((*api)->size >= sizeof(kolo_api));
    return library;
}

static int is_mapped(void)
{
    char line[1024];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL)
        found = found || strstr(line, "libkolo.so") != NULL;
    fclose(maps);
    return found;
}

static void done(void *user, kolo_request *request, kolo_status status)
{
    (void)request;
    *(int *)user += status == KOLO_OK;
}

static void use(const kolo_api *api)
{
    kolo_context *ctx = NULL;
    kolo_request *request = NULL;
    float data[3] = {1, 2, 3};
    int calls = 0;
    if (api->init(NULL, &ctx) != KOLO_OK)
        fail_msg("%s", api->last_error()->message);
    assert_true(api->rank(ctx) == 0 && api->world_size(ctx) == 1);
    kolo_args args = KOLO_ARGS_INIT;
    args.output = KOLO_VECTOR(data, 3, KOLO_FLOAT32);
    args.postscale = 2.0;
    args.done = done;
    args.user = &calls;
    assert_int_equal(api->allreduce(ctx, &args, &request), KOLO_OK);
    assert_int_equal(api->wait(request, -1), KOLO_OK);
    api->request_free(request);
    assert_true(data[2] == 6.0f && calls == 1);
    assert_int_equal(api->barrier(ctx, NULL, NULL), KOLO_OK);
    assert_int_equal(api->allreduce(ctx, NULL, NULL), KOLO_ERR_INVALID);
    assert_string_equal(api->last_error()->message, "args is NULL");
    assert_int_equal(api->finalize(ctx), KOLO_OK);
}

static void *nothing(void *unused)
{
    return unused;
}

static void library__is_used_through_its_table_and_unloaded(void **state)
{
    (void)state;
    const kolo_api *api = NULL;
    pthread_t thread; /* a sanitizer starts one of its own with the first */
    assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
    pthread_join(thread, NULL);
    int fds = host_count("/proc/self/fd"), threads = host_count("/proc/self/task");
    for (int i = 0; i < 5; i++) {
        assert_false(is_mapped());
        void *library = load(&api);
        assert_true(is_mapped());
        /* Local: the rest of the process sees none of it. */
        assert_null(dlsym(RTLD_DEFAULT, "kolo_init"));
        use(api);
        assert_int_equal(dlclose(library), 0);
    }
    assert_false(is_mapped());
    assert_int_equal(host_count("/proc/self/fd"), fds);
    assert_int_equal(host_count("/proc/self/task"), threads);
}

static void library__of_a_newer_abi_is_not_there(void **state)
{
    (void)state;
    const kolo_api *api = NULL;
    void *library = load(&api), *symbol = dlsym(library, "kolo_get_api");
    getter get;
    memcpy(&get, &symbol, sizeof(get));
    assert_null(get(1, 1000));
    assert_null(get(2, 0));
    assert_int_equal(api->last_error()->status, KOLO_ERR_VERSION);
    assert_int_equal(dlclose(library), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library__is_used_through_its_table_and_unloaded),
        cmocka_unit_test(library__of_a_newer_abi_is_not_there),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s libkolo.so\n", argv[0]);
        return 2;
    }
    path = argv[1];
    host_clear_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
