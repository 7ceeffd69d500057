/* epoch.c - the inner loop of the training.
 *
 * A step, with what travels meanwhile:
 *
 *     forward, loss | gradient of layer L-1 | of its input | gradient of layer L-2 | ... | next batch | wait, update
 *                                           |-- sum of layer L-1 over all ranks -->
 *                                                                                  |-- sum of layer L-2 -->
 *
 * Every rank scales its losses by 1 / (samples of the global batch), so that the sum over ranks is the mean, whatever
 * each rank's share.
 */
#include "trainer/session.h"

#include <inttypes.h>
#include <math.h>

static void draw_batch(train_session *session, const train_share *share)
{
    train_dataset_gather(&session->data.training, share->indices, 0, share->count, session->mlp.activation[0],
                         session->mlp.labels);
}

/* The spare float behind the last layer's gradient, which carries the loss. */
static float *loss_slot(const train_session *session)
{
    int32_t last = session->model.layer_count - 1;

    return session->gradient + session->model.offset[last] + train_model_parameters(&session->model, last);
}

static bool backward(train_session *session, const train_share *share, train_failure *failure)
{
    const train_model *model = &session->model;
    int32_t last = model->layer_count - 1;

    for (int32_t k = last; k >= 0; k--) {
        train_mlp_backward_parameters(&session->mlp, k, share->count, session->gradient);
        if (!train_exchange_reduce_layer(session->exchange, k, failure))
            return false;
        if (k == 0)
            break;
        train_mlp_backward_input(&session->mlp, session->parameters, k, share->count);
        if (!train_exchange_progress(session->exchange, failure))
            return false;
    }
    return true;
}

/* Waits for each layer's sum, in the order they were sent, and applies it while the later ones still travel. */
static bool update(train_session *session, double lr, train_tally *tally, train_failure *failure)
{
    train_optimizer_begin(&session->optimizer, lr);
    for (int32_t k = session->model.layer_count - 1; k >= 0; k--) {
        int64_t begin_ns = train_now_ns();

        if (!train_exchange_wait_layer(session->exchange, k, failure))
            return false;
        tally->wait_ns += train_now_ns() - begin_ns;
        train_optimizer_update(&session->optimizer, k, session->gradient, session->parameters);
    }
    return true;
}

/* All ranks have the same loss, so all come to the same answer; rank 0 tells. */
static bool check_loss(const train_session *session, const train_tally *tally, float loss, train_failure *failure)
{
    if (isfinite(loss))
        return true;
    (void)train_fail(failure,
                     "the loss became %f in epoch %" PRId64 ", step %" PRId64 ": the training diverged; try a lower "
                     "--lr or a longer --warmup",
                     (double)loss, tally->epoch, tally->step);
    if (session->exchange->rank != 0)
        failure->text[0] = '\0';
    return false;
}

static bool train_step(train_session *session, train_share *share, train_tally *tally, train_failure *failure)
{
    int64_t steps_before = (tally->epoch - 1) * tally->steps;
    double lr = train_learning_rate(session->options, steps_before + tally->step, tally->steps);
    float scale = 1.0f / (float)share->global_count;
    int64_t global_count = share->global_count;

    train_mlp_forward(&session->mlp, session->parameters, share->count);
    *loss_slot(session) = (float)(train_mlp_loss(&session->mlp, share->count, scale) / (double)global_count);
    if (!backward(session, share, failure))
        return false;
    /* The inputs are no longer needed: load the next ones while the gradients travel. */
    if (++tally->step < tally->steps) {
        *share = train_sampler_share(&session->sampler, tally->step);
        draw_batch(session, share);
    }
    if (!update(session, lr, tally, failure))
        return false;

    float loss = *loss_slot(session);
    tally->samples += global_count;
    tally->loss_sum += (double)loss * (double)global_count;
    if (session->loss_log != NULL)
        fprintf(session->loss_log, "%" PRId64 " %" PRId64 " %.9g\n", tally->epoch, tally->step, (double)loss);
    return check_loss(session, tally, loss, failure);
}

bool train_session_epoch(train_session *session, train_failure *failure)
{
    train_tally tally = {.epoch = session->epochs_done + 1, .steps = train_sampler_steps(&session->sampler)};
    int64_t begin_ns = train_now_ns();

    train_sampler_shuffle(&session->sampler, (uint64_t)session->options->seed, (uint64_t)tally.epoch);
    train_share share = train_sampler_share(&session->sampler, 0);
    draw_batch(session, &share);

    int64_t now_ns = begin_ns;
    while (tally.step < tally.steps) {
        int64_t before_ns = now_ns;
        int64_t waited_ns = tally.wait_ns;

        if (!train_step(session, &share, &tally, failure))
            return false;
        now_ns = train_now_ns();
        if (session->time_log != NULL)
            fprintf(session->time_log, "%" PRId64 " %" PRId64 " %.1f %.1f\n", tally.epoch, tally.step,
                    (double)(now_ns - before_ns) / 1e3, (double)(tally.wait_ns - waited_ns) / 1e3);
        tally.elapsed_ns = now_ns - begin_ns;
        train_progress_step(&session->progress, &tally, now_ns);
    }
    train_progress_epoch(&session->progress, &tally);
    session->epochs_done++;
    session->samples += tally.samples;
    session->elapsed_ns += tally.elapsed_ns;
    return true;
}
