/* A program that knows Kolo by its header and at run time only: dlopen, kolo_get_api, and away with it again. */
#include <dlfcn.h>
#include <kolo/kolo.h>
#include <stdio.h>

typedef const kolo_api *(*get_api_fn)(uint32_t abi_major, uint32_t min_minor);

int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) {
        fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "usage: plugin_host libkolo.so");
        return 1;
    }
    get_api_fn get_api = (get_api_fn)dlsym(library, "kolo_get_api");
    const kolo_api *api = get_api ? get_api(KOLO_ABI_MAJOR, KOLO_ABI_MINOR) : NULL;
    if (!api || api->size < sizeof *api || get_api(KOLO_ABI_MAJOR + 1, 0) || get_api(KOLO_ABI_MAJOR, KOLO_ABI_MINOR + 1)) {
        fprintf(stderr, "kolo_get_api answers wrongly\n");
        return 1;
    }
    kolo_context *ctx;
    float value;
    kolo_args args = KOLO_ARGS_INIT;
    args.output = KOLO_VECTOR(&value, 1, KOLO_FLOAT32);
    args.op = KOLO_AVERAGE;
    kolo_status status = api->init(NULL, &ctx);
    if (status == KOLO_OK) {
        value = (float)api->rank(ctx) + 1.0f;
        status = api->allreduce(ctx, &args, NULL);
        printf("rank %d of %d: average %g\n", (int)api->rank(ctx), (int)api->world_size(ctx), (double)value);
        if (status == KOLO_OK)
            status = api->finalize(ctx);
    }
    if (status != KOLO_OK) {
        fprintf(stderr, "%s: %s\n", api->status_name(status), api->last_error()->message);
        return 1;
    }
    return 0;
}
