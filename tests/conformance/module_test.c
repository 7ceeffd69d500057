/* module_test.c - the conformance suite over a transport that is loaded at run time: NAME FOLDERS. */
#include "api/modules.h"
#include "base/error.h"
#include "conformance.h"

#include <stdio.h>

static const kolo_transport_ops *loaded;

static const kolo_transport_ops *ops(void)
{
    return loaded;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s name folders\n", argv[0]);
        return 2;
    }
    void *module;
    if (kolo_module_load(argv[1], argv[2], NULL, &loaded, &module) != KOLO_OK) {
        fprintf(stderr, "%s\n", kolo_error_current()->message);
        return 1;
    }
    int failed = conformance_run(&(conformance_harness){.name = argv[1], .ops = ops});
    kolo_module_unload(module);
    return failed;
}
