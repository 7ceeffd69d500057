/* gloo_driver.cc - Gloo's all-reduces behind kolo-perf's harness: gloo_driver RANKS OPERATION [kolo-perf's options].
 *
 * Gloo has several all-reduces and ways to wait, each the fastest somewhere: for every size this tries them all, and
 * measures the one that was. It starts its own ranks, which meet through files and talk over loopback TCP. */
extern "C" {
#include "../perf/harness.h"
}

#include <gloo/allreduce.h>
#include <gloo/allreduce_bcube.h>
#include <gloo/allreduce_halving_doubling.h>
#include <gloo/allreduce_ring.h>
#include <gloo/allreduce_ring_chunked.h>
#include <gloo/barrier_all_to_all.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/rendezvous/prefix_store.h>
#include <gloo/transport/tcp/device.h>

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using ContextPtr = std::shared_ptr<gloo::rendezvous::Context>;
using Runner = std::function<void()>; /* one all-reduce, prepared */

struct Candidate {
    const char *name;
    std::function<Runner()> make;
};

struct GlooBackend {
    ContextPtr threaded; /* a thread of Gloo's moves the data */
    ContextPtr direct;   /* the caller does: reads and writes its sockets itself, polling where cores suffice */
    std::unique_ptr<gloo::BarrierAllToAll> barrier;
    perf_call call;
    std::map<std::pair<int64_t, bool>, size_t> chosen; /* (count, in place): which candidate */
    Runner run;
};

double now_us()
{
    using namespace std::chrono;
    return duration<double, std::micro>(steady_clock::now().time_since_epoch()).count();
}

/* Up to here the older classes are tried, with the caller moving the data, which is faster wherever it works: where
 * everybody writes before reading, what is written must fit into the sockets' buffers. Above, the newer functions. */
constexpr int64_t direct_bytes = 4 << 20;

/* Gloo throws; the harness wants to be told. */
template <typename Body> bool guarded(const char *what, Body body)
{
    try {
        body();
        return true;
    } catch (const std::exception &error) {
        fprintf(stderr, "gloo_driver: %s: %s\n", what, error.what());
        return false;
    }
}

/* The older classes keep their buffers from run to run, and work in place: out of place begins with a copy. */
template <template <typename> class Algorithm> Runner make_class(const ContextPtr &context, const perf_call &call)
{
    auto *output = reinterpret_cast<float *>(call.output);
    auto algorithm =
        std::make_shared<Algorithm<float>>(context, std::vector<float *>{output}, static_cast<int>(call.count));
    size_t bytes = static_cast<size_t>(call.count) * sizeof(float);
    const char *source = call.in_place ? nullptr : call.input;
    return [algorithm, output, source, bytes] {
        if (source != nullptr)
            memcpy(output, source, bytes);
        algorithm->run();
    };
}

Runner make_function(const ContextPtr &context, const perf_call &call, gloo::AllreduceOptions::Algorithm algorithm)
{
    auto options = std::make_shared<gloo::AllreduceOptions>(context);
    auto count = static_cast<size_t>(call.count);
    options->setAlgorithm(algorithm);
    if (!call.in_place)
        options->setInput(reinterpret_cast<float *>(call.input), count);
    options->setOutput(reinterpret_cast<float *>(call.output), count);
    void (*sum)(void *, const void *, const void *, size_t) = &gloo::sum<float>;
    options->setReduceFunction(sum);
    return [options] { gloo::allreduce(*options); };
}

std::vector<Candidate> candidates(const GlooBackend &self)
{
    using Options = gloo::AllreduceOptions;
    const perf_call &call = self.call;
    std::vector<Candidate> all;
    if (call.count * static_cast<int64_t>(sizeof(float)) > direct_bytes) {
        all.push_back({"ring", [&] { return make_function(self.threaded, call, Options::Algorithm::RING); }});
        all.push_back({"bcube", [&] { return make_function(self.threaded, call, Options::Algorithm::BCUBE); }});
        return all;
    }
    auto add = [&](const char *name, auto make) {
        all.push_back({name, [&self, &call, make] { return make(self.direct, call); }});
    };
    add("AllreduceRing", make_class<gloo::AllreduceRing>);
    add("AllreduceRingChunked", make_class<gloo::AllreduceRingChunked>);
    add("AllreduceHalvingDoubling", make_class<gloo::AllreduceHalvingDoubling>);
    int ranks = self.direct->size;
    if ((ranks & (ranks - 1)) == 0) /* of 3 or 5 ranks it adds up too much, and says nothing */
        add("AllreduceBcube", make_class<gloo::AllreduceBcube>);
    return all;
}

bool combine(void *opaque, perf_combine how, double *values, size_t count)
{
    auto *self = static_cast<GlooBackend *>(opaque);
    return guarded("combining the ranks' values", [&] {
        gloo::AllreduceOptions options(self->threaded);
        options.setOutput(values, count);
        void (*max)(void *, const void *, const void *, size_t) = &gloo::max<double>;
        void (*sum)(void *, const void *, const void *, size_t) = &gloo::sum<double>;
        options.setReduceFunction(how == PERF_COMBINE_MAX ? max : sum);
        gloo::allreduce(options);
    });
}

bool barrier(void *opaque)
{
    auto *self = static_cast<GlooBackend *>(opaque);
    return guarded("barrier", [&] { self->barrier->run(); });
}

/* Mean time of `count` runs on the slowest rank. */
double time_runs(GlooBackend *self, const Runner &run, int count)
{
    self->barrier->run();
    double start = now_us();
    for (int i = 0; i < count; i++)
        run();
    double each_us = (now_us() - start) / count;
    if (!combine(self, PERF_COMBINE_MAX, &each_us, 1))
        throw std::runtime_error("the ranks' times could not be compared");
    return each_us;
}

size_t fastest(GlooBackend *self, const std::vector<Candidate> &all)
{
    constexpr double trial_us = 4000;
    double best_us = 0.0;
    size_t best = all.size();
    for (size_t i = 0; i < all.size(); i++) {
        Runner run = all[i].make();
        run();
        double each_us = time_runs(self, run, 1);
        if (best < all.size() && each_us > 3 * best_us)
            continue;
        int more = std::min(static_cast<int>(trial_us / each_us), 100);
        if (more > 0)
            each_us = time_runs(self, run, more);
        if (best == all.size() || each_us < best_us) {
            best_us = each_us;
            best = i;
        }
    }
    if (self->threaded->rank == 0)
        fprintf(stderr, "gloo_driver: %lld bytes, %s: %s\n", static_cast<long long>(self->call.count) * 4,
                self->call.in_place ? "in place" : "out of place", all[best].name);
    return best;
}

void choose(GlooBackend *self)
{
    std::vector<Candidate> all = candidates(*self);
    auto key = std::make_pair(self->call.count, self->call.in_place);
    self->run = nullptr; /* its buffers first */
    if (self->chosen.count(key) == 0)
        self->chosen[key] = fastest(self, all);
    self->run = all[self->chosen[key]].make();
}

bool prepare(void *opaque, const perf_call *call)
{
    auto *self = static_cast<GlooBackend *>(opaque);
    if (call->op != PERF_ALLREDUCE || call->type != PERF_FLOAT || call->redop != PERF_SUM || call->async ||
        call->count < 1 || call->count > INT32_MAX) {
        fprintf(stderr, "gloo_driver: allreduce of at least one float, synchronous, as a sum: that is all here\n");
        return false;
    }
    self->call = *call;
    return guarded("choosing an algorithm", [&] { choose(self); });
}

bool execute(void *opaque)
{
    auto *self = static_cast<GlooBackend *>(opaque);
    return guarded("allreduce", [&] { self->run(); });
}

void connect(GlooBackend *self, int rank, int ranks, const std::string &folder, bool enough_cores)
{
    gloo::transport::tcp::attr attributes("127.0.0.1");
    auto device = gloo::transport::tcp::CreateDevice(attributes);
    gloo::rendezvous::FileStore files(folder);
    for (bool direct : {false, true}) {
        gloo::rendezvous::PrefixStore store(direct ? "direct" : "threaded", files);
        auto context = std::make_shared<gloo::rendezvous::Context>(rank, ranks);
        context->connectFullMesh(store, device);
        (direct ? self->direct : self->threaded) = context;
    }
    for (int peer = 0; peer < ranks; peer++) {
        if (peer != rank)
            self->direct->getPair(peer)->setSync(true, enough_cores);
    }
    std::shared_ptr<gloo::Context> context = self->direct;
    self->barrier = std::make_unique<gloo::BarrierAllToAll>(context);
}

int run_rank(int rank, int ranks, const std::string &folder, bool enough_cores, int argc, char **argv)
{
    perf_options options;
    char message[512] = "see kolo-perf --help";
    if (perf_options_parse(argc, argv, &options, message, sizeof message) != PERF_PARSE_RUN || options.ops[PERF_IDLE]) {
        fprintf(stderr, "gloo_driver: %s\n", options.ops[PERF_IDLE] ? "idle is kolo-perf's alone" : message);
        return PERF_EXIT_USAGE;
    }
    GlooBackend self{};
    if (!guarded("connecting the ranks", [&] { connect(&self, rank, ranks, folder, enough_cores); }))
        return PERF_EXIT_FAILED;
    perf_backend backend{};
    backend.self = &self;
    backend.program = "gloo_driver";
    backend.name = "gloo";
    backend.version = "";
    backend.rank = rank;
    backend.ranks = ranks;
    backend.one_host = true;
    backend.prepare = prepare;
    backend.execute = execute;
    backend.barrier = barrier;
    backend.combine = combine;
    perf_outcome outcome = perf_harness_run(&options, &backend);
    if (outcome != PERF_STOPPED)
        barrier(&self); /* nobody hangs up while another still reads */
    if (outcome == PERF_REFUSED)
        return PERF_EXIT_USAGE;
    return outcome == PERF_RIGHT ? PERF_EXIT_OK : PERF_EXIT_FAILED;
}

void bind_to_core(int rank, const cpu_set_t &allowed)
{
    int seen = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && seen++ == rank) {
            cpu_set_t mine;
            CPU_ZERO(&mine);
            CPU_SET(cpu, &mine);
            sched_setaffinity(0, sizeof mine, &mine);
        }
    }
}

/* The first failure ends everybody. */
int wait_for_all(const std::vector<pid_t> &children)
{
    int result = PERF_EXIT_OK;
    for (size_t left = children.size(); left > 0; left--) {
        int status = 0;
        wait(&status);
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : PERF_EXIT_FAILED;
        if (code != PERF_EXIT_OK && result == PERF_EXIT_OK) {
            result = code;
            for (pid_t child : children)
                kill(child, SIGKILL);
        }
    }
    return result;
}

} // namespace

int main(int argc, char **argv)
{
    int ranks = argc > 1 ? atoi(argv[1]) : 0;
    if (ranks < 1) {
        fprintf(stderr, "usage: gloo_driver RANKS OPERATION [kolo-perf's options]\n");
        return PERF_EXIT_USAGE;
    }
    char folder[] = "/tmp/gloo_driver.XXXXXX";
    if (mkdtemp(folder) == nullptr) {
        perror("gloo_driver: /tmp");
        return PERF_EXIT_FAILED;
    }
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof allowed, &allowed);
    bool enough_cores = ranks <= CPU_COUNT(&allowed);
    std::vector<pid_t> children;
    for (int rank = 0; rank < ranks; rank++) {
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (enough_cores && getenv("GLOO_DRIVER_UNBOUND") == nullptr)
                bind_to_core(rank, allowed);
            _exit([&] {
                int code = run_rank(rank, ranks, folder, enough_cores, argc - 1, argv + 1);
                fflush(nullptr);
                return code;
            }());
        }
        children.push_back(child);
    }
    int result = wait_for_all(children);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    return result;
}
