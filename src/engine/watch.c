/* watch.c - the root's watch over the board: posts of rounds that somebody else reported count as reports. */
#include "engine/negotiate.h"

#include "base/error.h"

/* At the root: a round that somebody reported, of a tensor that others may have posted. */
void kolo_watch(kolo_negotiation *negotiation, kolo_entry *entry)
{
    if (negotiation->rank != 0 || entry->way == KOLO_WAY_ORDER)
        return;
    negotiation->watch_again = true;
    if (entry->watched)
        return;
    kolo_entry **list = entry->way == KOLO_WAY_PLACE ? &negotiation->watched_places : &negotiation->watched;
    entry->watched = true;
    entry->next_watched = *list;
    *list = entry;
}

/* Whose posts are reports not counted yet. While this rank's round is still at work, reports are of the next one, and
 * posts are not. So it is where somebody has both posted this round and described: nobody does that for one round, so
 * the posts are complete, and only not yet seen to be. */
static uint64_t uncounted_posts(const kolo_negotiation *negotiation, const kolo_entry *entry)
{
    bool is_at_work = entry->head != NULL && entry->head->running;
    if (entry->have == 0 || entry->have == negotiation->all || is_at_work)
        return 0;
    uint64_t posted = negotiation->hooks.posted(negotiation->hooks.user, entry),
             described = entry->have & ~entry->unchanged;
    return (posted & described) != 0 ? 0 : posted & ~entry->have;
}

/* Posts of entries that others described count as reports of "unchanged". */
static kolo_status count_listed(kolo_negotiation *negotiation, kolo_entry **list)
{
    for (kolo_entry **at = list; *at != NULL;) {
        kolo_entry *entry = *at;
        uint64_t posted = uncounted_posts(negotiation, entry);
        bool is_open = (entry->have | posted) != negotiation->all;
        entry->unchanged |= posted;
        entry->have |= posted;
        if (is_open && entry->have != 0) {
            at = &entry->next_watched;
            continue;
        }
        *at = entry->next_watched;
        entry->watched = false;
        if (posted != 0)
            KOLO_TRY(kolo_negotiation_complete(negotiation, entry));
    }
    return KOLO_OK;
}

/* Whether the list of places may have something to count. Where nobody has ever posted a place, as in a job without
 * shared tensors, it never has. */
static bool has_news(const kolo_negotiation *negotiation, uint64_t *places)
{
    if (negotiation->watched_places == NULL)
        return false;
    *places = negotiation->hooks.places(negotiation->hooks.user);
    return *places != negotiation->places || (*places > 0 && negotiation->watch_again);
}

kolo_status kolo_watch_count(kolo_negotiation *negotiation)
{
    KOLO_TRY(count_listed(negotiation, &negotiation->watched));
    uint64_t places;
    if (!has_news(negotiation, &places))
        return KOLO_OK;
    negotiation->places = places;
    negotiation->watch_again = false;
    return count_listed(negotiation, &negotiation->watched_places);
}

static bool any_posted(const kolo_negotiation *negotiation, const kolo_entry *list)
{
    for (const kolo_entry *entry = list; entry != NULL; entry = entry->next_watched)
        if (uncounted_posts(negotiation, entry) != 0)
            return true;
    return false;
}

bool kolo_negotiation_awake(const kolo_negotiation *negotiation)
{
    uint64_t places;
    return any_posted(negotiation, negotiation->watched) ||
           (has_news(negotiation, &places) && any_posted(negotiation, negotiation->watched_places)) ||
           kolo_negotiation_posted_deserted(negotiation) != NULL;
}

/* Another way means another list. */
void kolo_watch_set_way(kolo_negotiation *negotiation, kolo_entry *entry, const kolo_request *request, bool has_private)
{
    const kolo_negotiation_hooks *hooks = &negotiation->hooks;
    kolo_way way =
        hooks->way != NULL ? hooks->way(hooks->user, request, entry->slot, has_private, &entry->cells) : KOLO_WAY_ORDER;
    kolo_entry **at = entry->way == KOLO_WAY_PLACE ? &negotiation->watched_places : &negotiation->watched;
    while (entry->watched && way != entry->way && *at != entry)
        at = &(*at)->next_watched;
    if (entry->watched && way != entry->way) {
        *at = entry->next_watched;
        entry->watched = false;
    }
    entry->way = way;
}
