/* module.c - the entry symbol of the loadable form. */
#include "ucx/ucx.h"

__attribute__((visibility("default"))) const kolo_transport_ops *kolo_transport_module(void);

const kolo_transport_ops *kolo_transport_module(void)
{
    return kolo_ucx_transport();
}
