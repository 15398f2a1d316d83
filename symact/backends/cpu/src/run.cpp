// The interpreter: cuts tensors into blocks that stay in the first-level cache and runs every step on a block.
#include "run.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "threads.h"

namespace symact {
namespace {

constexpr int64_t LINE = 16;
// What the blocks of a program may occupy together. They stay in a first-level cache of 32 kB beside what streams through
// it: with twice as much, a gradient of seven blocks took up to 1.8 times as long in some processes.
constexpr int64_t BUDGET = 8 * 1024, LARGEST = 512;

// Memory of a thread that grows and is used again by its next call.
class Arena {
public:
    ~Arena() { std::free(memory_); }
    char* take(std::size_t bytes) {
        if (bytes > size_) {
            std::free(memory_);
            size_ = (bytes + 4095) / 4096 * 4096;
            memory_ = static_cast<char*>(std::aligned_alloc(64, size_));
            if (!memory_) size_ = 0;
        }
        return memory_;
    }

private:
    char* memory_ = nullptr;
    std::size_t size_ = 0;
};
// One per precision: the float64 run of a few elements happens in the middle of one in float32.
template <class T>
Arena& arena() {
    thread_local Arena own;
    return own;
}

template <class T>
const Kernel<T>* kernels(const Machine& machine) {
    if constexpr (sizeof(T) == 8)
        return double_kernels;
    else
        return machine.kernels;
}

// One run over the blocks of [begin, end) on one thread.
template <class T>
class Worker {
public:
    Worker(const Machine& machine, const Bytecode& code, const Job& job) : machine_(machine), code_(code), job_(job) {
        parameters_ = job.tensors ? 0 : code.inputs - 1 - (job.grad ? 1 : 0);
        direct_ = job.type == FLOAT32 || job.type == FLOAT64;
        int blocks = code.temporaries + code.outputs + (job.tensors ? code.inputs : 1 + (job.grad ? 1 : 0));
        for (int k = 0; k < parameters_; k++) blocks += job.parameters[k].channels > 1;
        block_ = std::clamp<int64_t>(BUDGET / static_cast<int64_t>(sizeof(T)) / blocks / 64 * 64, 128, LARGEST);
        block_ = std::min(block_, (job.size + LINE - 1) / LINE * LINE);
    }

    bool prepare() {
        const int slots = code_.slots();
        int64_t lines = LINE * (code_.constants.size() + parameters_);
        // A block of its own for every slot but constants: the last, incomplete block is padded in it.
        int64_t need = lines + block_ * (slots - static_cast<int64_t>(code_.constants.size()));
        for (int k = 0; k < parameters_; k++) need += periodic(k) ? job_.parameters[k].channels : 0;
        need = (need * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
        const auto tables = 3 * sizeof(int64_t) * static_cast<std::size_t>(slots);
        char* memory = arena<T>().take(static_cast<std::size_t>(need) + tables);
        if (!memory) return false;
        T* next = reinterpret_cast<T*>(memory);
        at_ = reinterpret_cast<T**>(memory + need);
        own_ = at_ + slots;
        mask_ = reinterpret_cast<int64_t*>(own_ + slots);
        std::fill_n(mask_, slots, -1);
        for (int s = 0; s < slots; s++) {
            int constant = s - code_.inputs - code_.outputs;
            int parameter = s - 1;
            if (constant >= 0 && constant < static_cast<int>(code_.constants.size())) {
                next = line(s, next, static_cast<T>(code_.constants[constant]));
            } else if (parameter >= 0 && parameter < parameters_ && job_.parameters[parameter].channels == 1) {
                next = line(s, next, static_cast<const T*>(job_.parameters[parameter].values)[0]);
            } else if (parameter >= 0 && parameter < parameters_ && periodic(parameter)) {
                own_[s] = next;
                const Parameter& p = job_.parameters[parameter];
                for (int64_t i = 0; i < p.channels + block_; i++)
                    *next++ = static_cast<const T*>(p.values)[i % p.channels];
            } else {
                own_[s] = next;
                next += block_;
            }
        }
        std::copy_n(own_, slots, at_);
        return true;
    }

    int64_t block() const { return block_; }

    Outcome operator()(int64_t begin, int64_t end, double* const* sums) {
        for (int64_t start = begin; start < end; start += block_) {
            int64_t count = std::min(block_, end - start);
            int64_t padded = (count + LINE - 1) / LINE * LINE;
            bool whole = direct_ && padded == count;
            if (job_.tensors) {
                for (int i = 0; i < code_.inputs; i++) input(i, job_.tensors[i], start, count, padded, whole);
                for (int k = 0; k < code_.outputs; k++) place(k, job_.results[k], start, whole);
            } else {
                input(0, job_.x, start, count, padded, whole);
                for (int k = 0; k < parameters_; k++) parameter(k, start, padded);
                if (job_.grad) input(code_.inputs - 1, job_.grad, start, count, padded, whole);
                place(0, job_.y, start, whole);
            }
            Frame<T> frame{at_, mask_, padded};
            const Kernel<T>* table = kernels<T>(machine_);
            for (const Step& step : code_.steps) table[step.op](step, frame);
            if constexpr (sizeof(T) == 4)
                if (job_.mending)
                    if (const Outcome mended = mend(*job_.mending, count, padded); mended != DONE) return mended;
            if (job_.tensors) {
                for (int k = 0; k < code_.outputs && !whole; k++) output(k, job_.results[k], start, count, padded);
                continue;
            }
            if (!whole) output(0, job_.y, start, count, padded);
            for (int k = 1; k < code_.outputs; k++)
                if (sums[k - 1]) reduce(k, start, count, sums[k - 1]);
        }
        return DONE;
    }

private:
    const Machine& machine_;
    const Bytecode& code_;
    const Job& job_;
    int parameters_;
    bool direct_;
    int64_t block_;
    T** at_ = nullptr;
    T** own_ = nullptr;
    int64_t* mask_ = nullptr;

    bool periodic(int k) const { return job_.parameters[k].channels > 1 && job_.parameters[k].inner == 1; }

    T* line(int slot, T* place, T value) {
        own_[slot] = std::fill_n(place, LINE, value) - LINE;
        mask_[slot] = 0;
        return place + LINE;
    }

    void input(int slot, const void* from, int64_t start, int64_t count, int64_t padded, bool whole) {
        if (whole) {
            at_[slot] = const_cast<T*>(static_cast<const T*>(from)) + start;
            return;
        }
        T* to = at_[slot] = own_[slot];
        if constexpr (sizeof(T) == 4) {
            if (!direct_) {
                const uint16_t* half = static_cast<const uint16_t*>(from) + start;
                uint16_t last[LINE];
                auto read = job_.type == BFLOAT16 ? machine_.read_bfloat16 : machine_.read_float16;
                int64_t full = count / LINE * LINE;
                read(to, half, full);
                if (full == count) return;
                std::fill_n(last, LINE, half[count - 1]);
                std::copy_n(half + full, count - full, last);
                return read(to + full, last, LINE);
            }
        }
        std::copy_n(static_cast<const T*>(from) + start, count, to);
        std::fill(to + count, to + padded, to[count - 1]);
    }

    // Where the steps write an output: into its tensor, or into a block that `output` takes there.
    void place(int k, void* to, int64_t start, bool whole) {
        at_[code_.inputs + k] = whole ? static_cast<T*>(to) + start : own_[code_.inputs + k];
    }

    void output(int k, void* to, int64_t start, int64_t count, int64_t padded) {
        T* from = own_[code_.inputs + k];
        if constexpr (sizeof(T) == 4) {
            if (!direct_) {
                uint16_t* half = static_cast<uint16_t*>(to) + start;
                uint16_t last[LINE];
                auto write = job_.type == BFLOAT16 ? machine_.write_bfloat16 : machine_.write_float16;
                int64_t full = count / LINE * LINE;
                write(half, from, full);
                if (full == count) return;
                write(last, from + full, padded - full);
                std::copy_n(last, count - full, half + full);
                return;
            }
        }
        std::copy_n(from, count, static_cast<T*>(to) + start);
    }

    // Computes again, in float64, the elements of a block for which float32 is not enough; mostly there are none.
    Outcome mend(const Mending& how, int64_t count, int64_t padded) {
        const T* x = at_[0];
        if (!machine_.outside(x, padded, how.low, how.high, how.zero)) return DONE;
        double xs[LARGEST], grads[LARGEST], ys[LARGEST];
        int64_t places[LARGEST], n = 0;
        for (int64_t i = 0; i < count; i++) {
            const T size = std::fabs(x[i]);
            if (!(size < how.low || size > how.high) || (size == 0 && how.zero)) continue;
            places[n] = i, xs[n] = x[i];
            if (job_.grad) grads[n] = at_[code_.inputs - 1][i];
            n++;
        }
        if (n == 0) return DONE;
        const Bytecode* exact = how.exact.load(std::memory_order_acquire);
        if (!exact) return NEEDS_EXACT;
        if (job_.tensors) return mend_tensors(*exact, places, n);
        // A parameter has one value per element here, and so have its gradients, which are summed afterwards.
        const std::size_t size = static_cast<std::size_t>(n), extra = static_cast<std::size_t>(code_.outputs - 1);
        std::vector<double> numbers(size * parameters_), slopes(size * extra, 0.0);
        std::vector<Parameter> list;
        std::vector<double*> sums;
        for (int k = 0; k < parameters_; k++) {
            double* to = numbers.data() + size * k;
            const Parameter& p = job_.parameters[k];
            for (int64_t i = 0; i < n; i++)
                to[i] = p.channels == 1 ? static_cast<const T*>(p.values)[0] : at_[k + 1][places[i]];
            list.push_back({to, n, 1});
        }
        for (std::size_t k = 0; k < extra; k++) sums.push_back(slopes.data() + size * k);
        // One element is one channel, whose value a worker would take for one of the whole tensor: that is the same.
        const Job job{FLOAT64, n, xs, job_.grad ? grads : nullptr, list.data(), ys, nullptr, 1};
        Worker<double> worker(machine_, *exact, job);
        if (!worker.prepare() || worker(0, n, sums.data()) != DONE) return NO_MEMORY;
        for (int64_t i = 0; i < n; i++) {
            at_[code_.inputs][places[i]] = static_cast<T>(ys[i]);
            for (std::size_t k = 0; k < extra; k++)
                own_[code_.inputs + 1 + static_cast<int>(k)][places[i]] = static_cast<T>(slopes[size * k + i]);
        }
        return DONE;
    }

    Outcome mend_tensors(const Bytecode& exact, const int64_t* places, int64_t n) {
        const auto size = static_cast<std::size_t>(n);
        std::vector<double> numbers(size * static_cast<std::size_t>(code_.inputs + code_.outputs));
        std::vector<const void*> from;
        std::vector<void*> to;
        double* next = numbers.data();
        for (int s = 0; s < code_.inputs; s++, next += n) {
            for (int64_t i = 0; i < n; i++) next[i] = at_[s][places[i]];
            from.push_back(next);
        }
        for (int k = 0; k < code_.outputs; k++, next += n) to.push_back(next);
        Job job{FLOAT64, n, nullptr, nullptr, nullptr, nullptr, nullptr, 1};
        job.tensors = from.data(), job.results = to.data();
        Worker<double> worker(machine_, exact, job);
        if (!worker.prepare() || worker(0, n, nullptr) != DONE) return NO_MEMORY;
        for (int k = 0; k < code_.outputs; k++)
            for (int64_t i = 0; i < n; i++)
                at_[code_.inputs + k][places[i]] = static_cast<T>(static_cast<const double*>(to[k])[i]);
        return DONE;
    }

    // Calls use(channel, offset in the block, length) for each run of one channel.
    template <class Use>
    static void runs(const Parameter& p, int64_t start, int64_t count, Use use) {
        for (int64_t i = 0; i < count;) {
            int64_t place = start + i, length = std::min(count - i, p.inner - place % p.inner);
            use(place / p.inner % p.channels, i, length);
            i += length;
        }
    }

    void parameter(int k, int64_t start, int64_t padded) {
        const Parameter& p = job_.parameters[k];
        if (p.channels == 1) return;
        if (periodic(k)) {
            at_[k + 1] = own_[k + 1] + start % p.channels;
            return;
        }
        const T* values = static_cast<const T*>(p.values);
        T* to = own_[k + 1];
        runs(p, start, padded, [&](int64_t c, int64_t i, int64_t length) { std::fill_n(to + i, length, values[c]); });
    }

    double total(const T* from, int64_t count) const {
        if constexpr (sizeof(T) == 4) {
            return machine_.sum(from, count);
        } else {
            double sum = 0.0;
            for (int64_t i = 0; i < count; i++) sum += from[i];
            return sum;
        }
    }

    void reduce(int output, int64_t start, int64_t count, double* sums) const {
        const Parameter& p = job_.parameters[output - 1];
        const T* from = own_[code_.inputs + output];
        if (p.channels == 1) {
            sums[0] += total(from, count);
        } else if (p.inner == 1) {
            for (int64_t i = 0, c = start % p.channels; i < count; c = 0) {
                int64_t length = std::min(count - i, p.channels - c);
                for (int64_t j = 0; j < length; j++) sums[c + j] += static_cast<double>(from[i + j]);
                i += length;
            }
        } else {
            runs(p, start, count,
                 [&](int64_t c, int64_t i, int64_t length) { sums[c] += total(from + i, length); });
        }
    }
};

template <class T>
Outcome run_typed(const Machine& machine, const Bytecode& code, const Job& job) {
    const int threads = std::max(1, job.threads), extra = job.tensors ? 0 : code.outputs - 1;
    int64_t width = 0;
    for (int k = 0; k < extra; k++) width += job.parameters[k].channels;
    Worker<T> first(machine, code, job);
    const int64_t blocks = (job.size + first.block() - 1) / std::max<int64_t>(first.block(), 1);
    const int parts = static_cast<int>(std::min<int64_t>(threads, std::max<int64_t>(blocks, 1)));
    std::vector<double> sums(static_cast<std::size_t>(width * parts), 0.0);
    std::atomic<Outcome> outcome{DONE};
    auto part = [&](int number) {
        Worker<T> worker(machine, code, job);
        if (!worker.prepare()) {
            outcome = NO_MEMORY;
            return;
        }
        std::vector<double*> mine;
        double* next = sums.data() + width * number;
        for (int k = 0; k < extra; k++) {
            mine.push_back(job.parameter_grads[k] ? next : nullptr);
            next += job.parameters[k].channels;
        }
        int64_t begin = blocks * number / parts * first.block(), end = blocks * (number + 1) / parts * first.block();
        const Outcome own = worker(begin, std::min(end, job.size), mine.data());
        if (own != DONE) outcome = own;
    };
    if (job.size > 0 && (parts == 1 || !Pool::run(parts, part)))
        for (int number = 0; number < parts; number++) part(number);
    int64_t place = 0;
    for (int k = 0; k < extra; k++) {
        for (int64_t c = 0; c < job.parameters[k].channels; c++, place++) {
            if (!job.parameter_grads[k]) continue;
            double total = 0.0;
            for (int number = 0; number < parts; number++)
                total += sums[static_cast<std::size_t>(width * number + place)];
            job.parameter_grads[k][c] = total;
        }
    }
    return outcome;
}

// A large output lies in memory that is new to the process and comes page by page, which takes longer than most
// functions. It is about to be filled from end to end, so pages of 2 MB waste nothing; where the system has none,
// nothing happens.
void want_large_pages(void* output, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr uintptr_t PAGE = uintptr_t{1} << 21;
    if (bytes < static_cast<int64_t>(2 * PAGE)) return;
    const uintptr_t start = reinterpret_cast<uintptr_t>(output);
    const uintptr_t first = (start + PAGE - 1) & ~(PAGE - 1), last = (start + static_cast<uintptr_t>(bytes)) & ~(PAGE - 1);
    if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
    static_cast<void>(output), static_cast<void>(bytes);
#endif
}

int64_t bytes_of(Type type) { return type == FLOAT64 ? 8 : type == FLOAT32 ? 4 : 2; }

}  // namespace

Outcome run(const Machine& machine, const Bytecode& code, const Job& job) {
    const int64_t bytes = job.size * bytes_of(job.type);
    for (int k = 0; k < (job.tensors ? code.outputs : 1); k++)
        want_large_pages(job.tensors ? job.results[k] : job.y, bytes);
    return job.type == FLOAT64 ? run_typed<double>(machine, code, job) : run_typed<float>(machine, code, job);
}

}  // namespace symact
