/* alone.h - the transport of a job of one rank: there is nobody to talk to, so it starts at once and opens nothing. */
#ifndef KOLO_API_ALONE_H
#define KOLO_API_ALONE_H

#include <kolo/transport.h>

const kolo_transport_ops *kolo_alone_transport(void);

#endif
