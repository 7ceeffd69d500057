/* address.c - the address that travels between ranks: UCX's two worker addresses in an envelope.
 *
 * UCX trusts an address it is given. So it goes into an envelope that says what it is, and a damaged or foreign one is
 * refused before UCX sees it. All numbers little-endian:
 *
 *   u32 magic "KoUX"   u16 version   u16 reserved (0)   i32 rank   u32 control bytes   u32 data bytes
 *   u64 FNV-1a of everything but this field            control address    data address
 */
#include "instance.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };
static const uint32_t magic = UINT32_C(0x58556f4b);

typedef struct envelope {
    uint32_t magic;
    uint16_t version;
    uint16_t reserved;
    uint32_t rank;
    uint32_t bytes[UCX_WORKERS];
    uint32_t hash[2]; /* low, high: two words, so that the struct has no padding */
} envelope;
_Static_assert(sizeof(envelope) == 28, "the envelope is a wire format");

static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t size)
{
    for (const unsigned char *p = bytes; size > 0; p++, size--)
        hash = (hash ^ *p) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t envelope_hash(const envelope *head, const void *body, size_t size)
{
    return fnv1a(fnv1a(UINT64_C(0xcbf29ce484222325), head, offsetof(envelope, hash)), body, size);
}

static kolo_status query(kolo_transport *t, int worker, ucp_worker_attr_t *attributes)
{
    attributes->field_mask = UCP_WORKER_ATTR_FIELD_ADDRESS;
    ucs_status_t status = ucp_worker_query(t->worker[worker], attributes);
    if (status != UCS_OK)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_TRANSPORT, "UCX gives no worker address: %s",
                                 ucs_status_string(status));
    if (attributes->address_length > UCX_MAX_ADDRESS_BYTES) {
        ucp_worker_release_address(t->worker[worker], attributes->address);
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_TRANSPORT,
                                 "UCX gives a worker address of %zu bytes; name fewer devices in KOLO_IFACE",
                                 attributes->address_length);
    }
    return KOLO_OK;
}

static kolo_status append(kolo_transport *t, int worker)
{
    ucp_worker_attr_t attributes;
    kolo_status status = query(t, worker, &attributes);
    if (status != KOLO_OK)
        return status;
    unsigned char *grown = realloc(t->address, t->address_bytes + attributes.address_length);
    if (grown) {
        memcpy(grown + t->address_bytes, attributes.address, attributes.address_length);
        t->address = grown;
        t->address_bytes += attributes.address_length;
        ((envelope *)t->address)->bytes[worker] = htole32((uint32_t)attributes.address_length);
    }
    ucp_worker_release_address(t->worker[worker], attributes.address);
    return grown ? KOLO_OK : kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for an address");
}

kolo_status ucx_address_make(kolo_transport *t)
{
    envelope *head = calloc(1, sizeof(*head));
    if (!head)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for an address");
    head->magic = htole32(magic);
    head->version = htole16(VERSION);
    head->rank = htole32((uint32_t)t->guard.env.rank);
    t->address = head;
    t->address_bytes = sizeof(*head);
    for (int w = 0; w < UCX_WORKERS; w++) {
        kolo_status status = append(t, w);
        if (status != KOLO_OK)
            return status;
    }
    head = t->address;
    uint64_t hash = envelope_hash(head, head + 1, t->address_bytes - sizeof(*head));
    head->hash[0] = htole32((uint32_t)hash);
    head->hash[1] = htole32((uint32_t)(hash >> 32));
    return KOLO_OK;
}

/* Checks everything; the worker addresses' sizes into bytes. Returns what is wrong, or NULL. */
static const char *check(const kolo_bytes *address, int32_t rank, size_t bytes[UCX_WORKERS])
{
    envelope head;
    if (!address->data || address->size < sizeof(head))
        return "it is too short";
    memcpy(&head, address->data, sizeof(head));
    if (le32toh(head.magic) != magic)
        return "it is not an address of this transport";
    if (le16toh(head.version) != VERSION)
        return "it has another version; all ranks must run the same library";
    size_t total = sizeof(head);
    for (int w = 0; w < UCX_WORKERS; w++) {
        bytes[w] = le32toh(head.bytes[w]);
        total += bytes[w];
        if (bytes[w] == 0 || bytes[w] > UCX_MAX_ADDRESS_BYTES)
            return "its lengths make no sense";
    }
    if (total != address->size)
        return "its length is wrong";
    uint64_t hash = envelope_hash(&head, (const unsigned char *)address->data + sizeof(head), total - sizeof(head));
    if (hash != ((uint64_t)le32toh(head.hash[1]) << 32 | le32toh(head.hash[0])))
        return "its checksum is wrong";
    if (le32toh(head.rank) != (uint32_t)rank)
        return "it belongs to another rank";
    return NULL;
}

kolo_status ucx_address_connect(kolo_transport *t, const kolo_bytes *addresses)
{
    int32_t size = t->guard.env.size;
    size_t total = 0, bytes[UCX_WORKERS];
    for (int32_t r = 0; r < size; r++) {
        const char *wrong = check(&addresses[r], r, bytes);
        if (wrong)
            return kolo_guard_refuse(&t->guard.env, KOLO_ERR_PROTOCOL, "the address of rank %d is damaged: %s", (int)r,
                                     wrong);
        total += (bytes[0] + bytes[1] + 15u) & ~(size_t)7; /* each address starts at a multiple of 8 */
    }
    unsigned char *copy = malloc(total + 16 * (size_t)size);
    if (!copy)
        return kolo_guard_refuse(&t->guard.env, KOLO_ERR_MEMORY, "no memory for the addresses of %d ranks", (int)size);
    t->addresses = copy;
    for (int32_t r = 0; r < size; r++) {
        const unsigned char *from = (const unsigned char *)addresses[r].data + sizeof(envelope);
        (void)check(&addresses[r], r, bytes);
        for (int w = 0; w < UCX_WORKERS; w++) {
            memcpy(copy, from, bytes[w]);
            t->peers[r].address[w] = (kolo_bytes){.data = copy, .size = bytes[w]};
            from += bytes[w];
            copy += (bytes[w] + 7u) & ~(size_t)7;
        }
    }
    return KOLO_OK;
}
