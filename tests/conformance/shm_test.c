/* shm_test.c - the conformance suite over shared memory. Arguments: KOLO_SHM_ATTACH, KOLO_SHM_WINDOW, KOLO_SHM_HEAP. */
#include "conformance.h"
#include "transports/shm/shm.h"

#include <string.h>

static const char *attach, *window = "64K", *heap = "24M";

static const char *option(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "SHM_ATTACH") == 0   ? attach
           : strcmp(name, "SHM_WINDOW") == 0 ? window
           : strcmp(name, "SHM_HEAP") == 0   ? heap
                                             : NULL;
}

int main(int argc, char **argv)
{
    attach = argc > 1 ? argv[1] : NULL;
    window = argc > 2 ? argv[2] : window;
    heap = argc > 3 ? argv[3] : heap;
    return conformance_run(&(conformance_harness){.name = "shm", .ops = kolo_shm_transport, .option = option});
}
