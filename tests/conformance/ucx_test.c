/* ucx_test.c - the conformance suite over UCX. With arguments "tcp,self lo": KOLO_UCX_TLS and KOLO_IFACE. */
#include "conformance.h"
#include "transports/ucx/ucx.h"

#include <stdio.h>
#include <string.h>

static const char *tls, *iface;

static const char *option(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "UCX_TLS") == 0 ? tls : strcmp(name, "IFACE") == 0 ? iface : NULL;
}

int main(int argc, char **argv)
{
    tls = argc > 1 ? argv[1] : NULL;
    iface = argc > 2 ? argv[2] : NULL;
    return conformance_run(&(conformance_harness){.name = "ucx", .ops = kolo_ucx_transport, .option = option});
}
