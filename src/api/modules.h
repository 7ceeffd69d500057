/* modules.h - transports that are loaded at run time. */
#ifndef KOLO_API_MODULES_H
#define KOLO_API_MODULES_H

#include <kolo/transport.h>
#include "base/log.h"

/* Looks for kolo_transport_NAME.so in the folders of path_list (separated by ':', may be NULL or empty), loads the
 * first one found, and checks it. name: letters, digits, '-' and '_'. *ops lives until kolo_module_unload(*handle).
 * KOLO_ERR_UNSUPPORTED: there is none (the error lists where it was looked for). KOLO_ERR_VERSION: it speaks another
 * ABI. KOLO_ERR_CONFIG: it is no such module. Any thread. */
KOLO_NODISCARD kolo_status kolo_module_load(const char *name, const char *path_list, const kolo_log *log,
                                            const kolo_transport_ops **ops, void **handle);

/* KOLO_TRANSPORT_PATH's folders, and then the one that belongs to this library: `kolo` beside libkolo.so. Returns text.
 */
char *kolo_module_folders(const char *configured, char *text, size_t capacity);

/* After its last transport is destroyed. NULL is ignored. The code stays in memory. */
void kolo_module_unload(void *handle);

#endif
