/* agreement.c - one card per rank, exchanged once. */
#include "api/agreement.h"

#include "api/prices.h"

#include "base/codec.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counts changes of anything ranks say to each other: cards, control messages, schedules. */
enum { PROTOCOL = 1, NAME_BYTES = 31 };

typedef struct card {
    uint32_t protocol;
    kolo_place place;
    int64_t chunk_bytes, fusion_bytes, groups_in_flight;
    char algorithm[NAME_BYTES + 1], broadcast[NAME_BYTES + 1], transport[NAME_BYTES + 1];
    char prices[KOLO_PRICE_TEXT];
} card;

static void write_text(kolo_writer *writer, const char *text, size_t capacity)
{
    kolo_write_bytes(writer, text, strnlen(text, capacity - 1));
}

size_t kolo_agreement_write(const kolo_context *ctx, uint8_t bytes[KOLO_AGREEMENT_BYTES])
{
    uint8_t place_bytes[KOLO_PLACE_BYTES];
    kolo_place place;
    kolo_topo_place(ctx->topo, &place);
    kolo_place_encode(&place, place_bytes);
    kolo_writer writer;
    kolo_writer_init(&writer, bytes, KOLO_AGREEMENT_BYTES);
    kolo_write_u32(&writer, PROTOCOL);
    kolo_write_bytes(&writer, place_bytes, sizeof(place_bytes));
    kolo_write_u64(&writer, (uint64_t)ctx->config.chunk_bytes);
    kolo_write_u64(&writer, (uint64_t)ctx->config.fusion_bytes);
    kolo_write_u64(&writer, (uint64_t)ctx->config.groups_in_flight);
    write_text(&writer, ctx->config.algorithm, NAME_BYTES + 1);
    write_text(&writer, ctx->config.broadcast, NAME_BYTES + 1);
    write_text(&writer, ctx->config.transport, NAME_BYTES + 1);
    write_text(&writer, ctx->config.prices, KOLO_PRICE_TEXT);
    return writer.size;
}

static bool read_text(kolo_reader *reader, char *text, size_t capacity)
{
    size_t size = 0;
    const void *bytes = kolo_read_bytes(reader, capacity - 1, &size);
    if (!reader->ok)
        return false;
    if (size > 0)
        memcpy(text, bytes, size);
    text[size] = '\0';
    return true;
}

static kolo_status read_card(int32_t rank, kolo_bytes bytes, card *out)
{
    kolo_reader reader;
    kolo_reader_init(&reader, bytes.data, bytes.size);
    out->protocol = kolo_read_u32(&reader);
    if (reader.ok && out->protocol != PROTOCOL)
        return kolo_fail(KOLO_ERR_VERSION,
                         "rank %d speaks Kolo's protocol %u, this rank %d: run the same version everywhere", rank,
                         out->protocol, PROTOCOL);
    size_t size = 0;
    const void *place = kolo_read_bytes(&reader, KOLO_PLACE_BYTES, &size);
    out->chunk_bytes = (int64_t)kolo_read_u64(&reader);
    out->fusion_bytes = (int64_t)kolo_read_u64(&reader);
    out->groups_in_flight = (int64_t)kolo_read_u64(&reader);
    bool texts = read_text(&reader, out->algorithm, sizeof(out->algorithm)) &&
                 read_text(&reader, out->broadcast, sizeof(out->broadcast)) &&
                 read_text(&reader, out->transport, sizeof(out->transport)) &&
                 read_text(&reader, out->prices, sizeof(out->prices));
    if (!texts || !kolo_reader_done(&reader) || out->chunk_bytes <= 0 || out->fusion_bytes < 0 ||
        out->groups_in_flight <= 0 || out->groups_in_flight > INT32_MAX)
        return kolo_fail(KOLO_ERR_PROTOCOL, "what rank %d says about itself does not decode (%zu bytes)", rank,
                         bytes.size);
    return kolo_place_decode(place, size, &out->place);
}

static void warn_of(const kolo_context *ctx, const char *variable, bool same, const char *theirs)
{
    if (!same)
        kolo_log_write(&ctx->log, KOLO_LOG_WARN, "%s differs from rank 0's, which holds for the job: %s", variable,
                       theirs);
}

static void warn_of_number(const kolo_context *ctx, const char *variable, int64_t own, int64_t theirs)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)theirs);
    warn_of(ctx, variable, own == theirs, text);
}

static void warn_if_different(const kolo_context *ctx, const card *first)
{
    const kolo_config *own = &ctx->config;
    warn_of_number(ctx, "KOLO_CHUNK", own->chunk_bytes, first->chunk_bytes);
    warn_of_number(ctx, "KOLO_FUSION", own->fusion_bytes, first->fusion_bytes);
    warn_of_number(ctx, "KOLO_GROUPS_IN_FLIGHT", own->groups_in_flight, first->groups_in_flight);
    warn_of(ctx, "KOLO_ALGORITHM", strcmp(own->algorithm, first->algorithm) == 0, first->algorithm);
    warn_of(ctx, "KOLO_BROADCAST", strcmp(own->broadcast, first->broadcast) == 0, first->broadcast);
    warn_of(ctx, "KOLO_PRICES", strcmp(own->prices, first->prices) == 0, first->prices);
}

/* The settings all must share; forced algorithms are checked here, so that an unknown name fails on every rank alike.
 */
static kolo_status adopt(kolo_context *ctx, const card *first)
{
    ctx->config.chunk_bytes = first->chunk_bytes;
    ctx->config.fusion_bytes = first->fusion_bytes;
    ctx->config.groups_in_flight = first->groups_in_flight; /* runners share memory with their likes on other ranks */
    KOLO_TRY(kolo_algorithm_forced("KOLO_ALGORITHM", first->algorithm, KOLO_ALLREDUCE, &ctx->forced));
    KOLO_TRY(kolo_algorithm_forced("KOLO_BROADCAST", first->broadcast, KOLO_BROADCAST, &ctx->forced_broadcast));
    return kolo_prices_choose(ctx, first->prices);
}

static kolo_status read_all(kolo_context *ctx, const kolo_bytes *cards, card *read, kolo_place *places)
{
    for (int32_t r = 0; r < ctx->job.size; r++) {
        KOLO_TRY(read_card(r, cards[r], &read[r]));
        places[r] = read[r].place;
        if (strcmp(read[r].transport, read[0].transport) != 0)
            return kolo_fail(KOLO_ERR_CONFIG,
                             "KOLO_TRANSPORT is '%s' on rank %d, but '%s' on rank 0; it must be the same everywhere",
                             read[r].transport, r, read[0].transport);
    }
    warn_if_different(ctx, &read[0]);
    return adopt(ctx, &read[0]);
}

/* Whether a launcher divided this host's cores: then local ranks start at different ones. */
static bool cores_divided(const kolo_place *places, const int32_t *host, int32_t size, int32_t rank)
{
    for (int32_t r = 0; r < size; r++)
        if (r != rank && host[r] == host[rank] && places[r].core == places[rank].core)
            return false;
    return true;
}

kolo_status kolo_agreement_read(kolo_context *ctx, const kolo_bytes *cards)
{
    size_t size = (size_t)ctx->job.size;
    card *read = calloc(size, sizeof(*read));
    kolo_place *places = calloc(size, sizeof(*places));
    int32_t *lists = calloc(size * 3, sizeof(*lists)); /* host, local rank, local size of each rank */
    ctx->ring = calloc(size, sizeof(*ctx->ring));
    kolo_status status = KOLO_OK;
    if (read == NULL || places == NULL || lists == NULL || ctx->ring == NULL)
        status = kolo_fail(KOLO_ERR_MEMORY, "no memory for a job of %zu ranks", size);
    else
        status = read_all(ctx, cards, read, places);
    if (status == KOLO_OK) {
        int32_t hosts = kolo_place_order(places, ctx->job.size, ctx->ring, lists, lists + size, lists + 2 * size);
        ctx->local_rank = lists[size + (size_t)ctx->job.rank];
        ctx->local_size = lists[2 * size + (size_t)ctx->job.rank];
        ctx->one_host = hosts == 1;
        ctx->own_cores = cores_divided(places, lists, ctx->job.size, ctx->job.rank);
    }
    free(read);
    free(places);
    free(lists);
    return status;
}
