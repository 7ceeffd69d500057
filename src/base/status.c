/* status.c - names and phrases of the status codes, made from the one list. */
#include <kolo/kolo.h>

const char *kolo_status_name(kolo_status status)
{
    switch (status) {
#define STATUS_NAME(name, number, text)                                                                                \
    case KOLO_##name:                                                                                                  \
        return "KOLO_" #name;
        KOLO_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    }
    return "unknown status";
}

const char *kolo_status_text(kolo_status status)
{
    switch (status) {
#define STATUS_TEXT(name, number, text)                                                                                \
    case KOLO_##name:                                                                                                  \
        return text;
        KOLO_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}
