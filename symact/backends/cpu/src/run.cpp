// The interpreter: cuts tensors into blocks that stay in the first-level cache and runs every step on a block.
#include "run.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
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
// Of a program of one step that reads and writes tensors where they lie, nothing stays in a cache.
constexpr int64_t LONG = 8192;

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
        return machine.doubles->at;
    else
        return machine.kernels;
}

// One run over the blocks of [begin, end) on one thread.
template <class T>
class Worker {
public:
    Worker(const Machine& machine, const Bytecode& code, const Job& job) : machine_(machine), code_(code), job_(job) {
        alone_ = in_bfloat16();
        direct_ = job.type == FLOAT32 || job.type == FLOAT64 || alone_;
        int blocks = code.temporaries + code.outputs + job.tensor_count;
        for (int k = 0; k < job.parameter_count; k++) blocks += job.parameters[k].channels > 1;
        block_ = std::clamp<int64_t>(BUDGET / static_cast<int64_t>(sizeof(T)) / blocks / 64 * 64, 128, LARGEST);
        if (streams()) block_ = LONG;
        block_ = std::min(block_, (job.size + LINE - 1) / LINE * LINE);
        // Rows that are long end a block, so that it lies in one piece; of short ones a block holds several.
        apart_ = job.inner < job.size && job.inner >= block_ / 2;
    }

    bool prepare() {
        const int slots = code_.slots();
        int64_t lines = LINE * static_cast<int64_t>(code_.constants.size() + job_.parameter_count);
        // A block of its own for every slot but constants: the last, incomplete block is padded in it. Numbers of 16 bits
        // are read 16 at a time, so there is a line behind each.
        int64_t need = lines + (block_ + LINE) * (slots - static_cast<int64_t>(code_.constants.size()));
        for (int k = 0; k < job_.parameter_count; k++) need += periodic(k) ? job_.parameters[k].channels : 0;
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
            int parameter = s - job_.variables;
            const bool given = parameter >= 0 && parameter < job_.parameter_count;
            if (constant >= 0 && constant < static_cast<int>(code_.constants.size())) {
                next = line(s, next, static_cast<T>(code_.constants[constant]));
            } else if (given && job_.parameters[parameter].channels == 1) {
                next = line(s, next, static_cast<const T*>(job_.parameters[parameter].values)[0]);
            } else if (given && periodic(parameter)) {
                own_[s] = next;
                const Parameter& p = job_.parameters[parameter];
                for (int64_t i = 0; i < p.channels + block_; i++)
                    *next++ = static_cast<const T*>(p.values)[i % p.channels];
            } else {
                own_[s] = next;
                next += block_ + LINE;
            }
        }
        std::copy_n(own_, slots, at_);
        return true;
    }

    int64_t block() const { return block_; }

    Outcome operator()(int64_t begin, int64_t end, double* const* sums) {
        for (int64_t start = begin, count; start < end; start += count) {
            count = std::min(block_, end - start);
            if (apart_) count = std::min(count, job_.inner - start % job_.inner);
            // Numbers of 16 bits are worked on in pairs of lines.
            const int64_t line = alone_ ? 2 * LINE : LINE, padded = (count + line - 1) / line * line;
            bool whole = direct_ && padded == count;
            for (int i = 0; i < job_.tensor_count; i++) input(i, start, count, padded, whole);
            for (int k = 0; k < job_.parameter_count; k++) parameter(k, start, padded);
            for (int k = 0; k < job_.result_count; k++) place(k, start, count, whole);
            Frame<T> frame{at_, mask_, padded};
            if constexpr (sizeof(T) == 4)
                if (alone_) alone_(code_.steps[0], frame);
            if (!alone_) {
                const Kernel<T>* table = kernels<T>(machine_);
                for (const Step& step : code_.steps) table[step.op](step, frame);
            }
            if constexpr (sizeof(T) == 4)
                if (job_.mending)
                    if (const Outcome mended = mend(*job_.mending, count, padded); mended != DONE) return mended;
            for (int k = 0; k < job_.result_count; k++)
                if (at_[code_.inputs + k] == own_[code_.inputs + k]) output(k, start, count);
            for (int k = job_.result_count; k < code_.outputs; k++)
                if (sums[k - job_.result_count]) reduce(k, start, count, sums[k - job_.result_count]);
        }
        return DONE;
    }

private:
    const Machine& machine_;
    const Bytecode& code_;
    const Job& job_;
    // The one step of a program of bfloat16 that is not widened; else null.
    Kernel<float> alone_;
    bool direct_, apart_;
    int64_t block_;
    T** at_ = nullptr;
    T** own_ = nullptr;
    int64_t* mask_ = nullptr;

    // What computes elements again in float64, with blocks for all inputs, then for all outputs. Parameters are tensors
    // here, since elements are gathered; so are their gradients, which are summed afterwards.
    template <class E>
    struct Again {
        // Not a multiple of the size of a page, which would put all blocks at the same place of a cache.
        static constexpr int64_t APART = LARGEST + LINE;
        std::vector<E> numbers;
        std::vector<View> views;
        Job job;
        Worker<E> worker;

        Again(const Machine& machine, const Bytecode& exact, int inputs, int outputs)
            : numbers(static_cast<std::size_t>(APART * (inputs + outputs))), views(all(inputs + outputs)),
              job{FLOAT64, LARGEST, LARGEST, views.data(), inputs, inputs, nullptr, 0, views.data() + inputs, outputs,
                  nullptr, 1},
              worker(machine, exact, job) {}

        E* at(int slot) { return numbers.data() + APART * slot; }
        std::vector<View> all(int slots) {
            std::vector<View> made;
            for (int s = 0; s < slots; s++) made.push_back({at(s), 0, 1});
            return made;
        }
    };
    std::unique_ptr<Again<double>> again_;

    // Reads tensors alone and writes results, no parameters, and in float32 what it computes is right everywhere.
    Kernel<float> in_bfloat16() const {
        if (job_.type != BFLOAT16 || sizeof(T) != 4 || code_.steps.size() != 1 || job_.mending || job_.parameter_count)
            return nullptr;
        const Step& step = code_.steps[0];
        const int tensors = tensors_of(step.op);
        const int16_t inputs[] = {step.a, step.b, step.c, step.d};
        for (int i = 0; i < tensors; i++)
            if (inputs[i] >= code_.inputs) return nullptr;
        return machine_.bfloat16->at[step.op];
    }

    // Whether the one step of a program works on dense tensors.
    bool streams() const {
        const auto dense = [](const View& view) { return view.step == 1; };
        return direct_ && code_.steps.size() == 1 && !job_.mending && job_.inner >= std::min(job_.size, LONG) &&
               job_.result_count == code_.outputs && std::all_of(job_.tensors, job_.tensors + job_.tensor_count, dense) &&
               std::all_of(job_.results, job_.results + job_.result_count, dense);
    }

    bool periodic(int k) const { return job_.parameters[k].channels > 1 && job_.parameters[k].inner == 1; }
    // Parameters stand behind the variables.
    int slot(int tensor) const { return tensor < job_.variables ? tensor : tensor + job_.parameter_count; }

    T* line(int slot, T* place, T value) {
        own_[slot] = std::fill_n(place, LINE, value) - LINE;
        mask_[slot] = 0;
        return place + LINE;
    }

    // Calls use(place in the tensor, offset in the block, length) for each piece of a row.
    template <class Use>
    void pieces(const View& view, int64_t start, int64_t count, Use use) const {
        if (job_.inner >= job_.size) return use(start * view.step, 0, count);
        for (int64_t i = 0; i < count;) {
            const int64_t row = (start + i) / job_.inner, within = (start + i) % job_.inner;
            const int64_t length = std::min(count - i, job_.inner - within);
            use(row * view.row + within * view.step, i, length);
            i += length;
        }
    }

    // Where a block of a tensor lies in one piece, in the type that the steps read; else null.
    T* direct(const View& view, int64_t start, int64_t count) const {
        if (view.step != 1) return nullptr;
        const auto from = [&](int64_t place) {
            const int64_t size = alone_ ? sizeof(uint16_t) : sizeof(T);
            return reinterpret_cast<T*>(static_cast<char*>(view.at) + place * size);
        };
        if (job_.inner >= job_.size) return from(start);
        const int64_t row = start / job_.inner, within = start % job_.inner;
        return within + count <= job_.inner ? from(row * view.row + within) : nullptr;
    }

    void input(int tensor, int64_t start, int64_t count, int64_t padded, bool whole) {
        const View& view = job_.tensors[tensor];
        T*& at = at_[slot(tensor)];
        if (whole && (at = direct(view, start, count))) return;
        T* to = at = own_[slot(tensor)];
        if (alone_) return collect<uint16_t>(view, start, count, padded, reinterpret_cast<uint16_t*>(to));
        if (direct_) return collect<T>(view, start, count, padded, to);
        pieces(view, start, count, [&](int64_t place, int64_t i, int64_t length) {
            if constexpr (sizeof(T) == 4)
                widen(static_cast<const uint16_t*>(view.at) + place, view.step, length, to + i);
        });
        std::fill(to + count, to + padded, to[count - 1]);
    }

    template <class N>
    void collect(const View& view, int64_t start, int64_t count, int64_t padded, N* to) const {
        pieces(view, start, count, [&](int64_t place, int64_t i, int64_t length) {
            gather(static_cast<const N*>(view.at) + place, view.step, length, to + i);
        });
        std::fill(to + count, to + padded, to[count - 1]);
    }

    template <class N>
    static void gather(const N* from, int64_t step, int64_t count, N* to) {
        if (step == 1) {
            std::copy_n(from, count, to);
        } else if (step == 2) {
            for (int64_t i = 0; i < count; i++) to[i] = from[2 * i];
        } else {
            for (int64_t i = 0; i < count; i++) to[i] = from[i * step];
        }
    }

    template <class N>
    static void scatter(const N* from, int64_t step, int64_t count, N* to) {
        if (step == 1) return static_cast<void>(std::copy_n(from, count, to));
        for (int64_t i = 0; i < count; i++) to[i * step] = from[i];
    }

    // Numbers of 16 bits, 16 at a time; up to a line behind the last is written, too.
    void widen(const uint16_t* from, int64_t step, int64_t count, float* to) {
        uint16_t together[LARGEST + LINE];
        if (step != 1) {
            gather(from, step, count, together);
            from = together;
        }
        auto read = job_.type == BFLOAT16 ? machine_.read_bfloat16 : machine_.read_float16;
        const int64_t full = count / LINE * LINE;
        read(to, from, full);
        if (full == count) return;
        uint16_t last[LINE];
        std::fill_n(last, LINE, from[count - 1]);
        std::copy_n(from + full, count - full, last);
        read(to + full, last, LINE);
    }

    void narrow(const float* from, int64_t step, int64_t count, uint16_t* to) {
        auto write = job_.type == BFLOAT16 ? machine_.write_bfloat16 : machine_.write_float16;
        uint16_t together[LARGEST + LINE];
        const int64_t full = count / LINE * LINE;
        write(step == 1 ? to : together, from, full);
        if (full < count) {
            float last[LINE] = {};
            std::copy_n(from + full, count - full, last);
            write(together + full, last, LINE);
            if (step == 1) std::copy_n(together + full, count - full, to + full);
        }
        if (step != 1) scatter(together, step, count, to);
    }

    // Where the steps write a result: into its tensor, or into a block that `output` takes there.
    void place(int k, int64_t start, int64_t count, bool whole) {
        T* there = whole ? direct(job_.results[k], start, count) : nullptr;
        at_[code_.inputs + k] = there ? there : own_[code_.inputs + k];
    }

    void output(int k, int64_t start, int64_t count) {
        const View& view = job_.results[k];
        const T* from = own_[code_.inputs + k];
        pieces(view, start, count, [&](int64_t place, int64_t i, int64_t length) {
            if (alone_)
                scatter(reinterpret_cast<const uint16_t*>(from) + i, view.step, length,
                        static_cast<uint16_t*>(view.at) + place);
            else if (direct_)
                scatter(from + i, view.step, length, static_cast<T*>(view.at) + place);
            else if constexpr (sizeof(T) == 4)
                narrow(from + i, view.step, length, static_cast<uint16_t*>(view.at) + place);
        });
    }

    // Computes again, in float64, the elements of a block for which float32 is not enough; mostly there are none.
    Outcome mend(const Mending& how, int64_t count, int64_t padded) {
        bool some = false;
        for (std::size_t k = 0; k < how.windows.size() && !some; k++)
            some = machine_.outside(at_[k], padded, how.windows[k].low, how.windows[k].high, how.windows[k].zero);
        if (!some) return DONE;
        int32_t marks[LARGEST] = {};
        for (std::size_t k = 0; k < how.windows.size(); k++)
            machine_.mark(at_[k], padded, how.windows[k].low, how.windows[k].high, how.windows[k].zero, marks);
        int64_t places[LARGEST + 1], n = 0;
        for (int64_t i = 0; i < count; i++) {
            places[n] = i;
            n += marks[i] & 1;
        }
        const Bytecode* exact = how.exact.load(std::memory_order_acquire);
        if (!exact) return NEEDS_EXACT;
        if (!again_) {
            again_ = std::make_unique<Again<double>>(machine_, *exact, code_.inputs, code_.outputs);
            if (!again_->worker.prepare()) return NO_MEMORY;
            for (int s = 0; s < code_.inputs; s++)
                if (!mask_[s]) std::fill_n(again_->at(s), LARGEST, static_cast<double>(at_[s][0]));
        }
        // Of most of a block all is computed, which spares gathering.
        const bool all = 2 * n > count;
        const int64_t size = all ? padded : (n + LINE - 1) / LINE * LINE;
        for (int s = 0; s < code_.inputs; s++) {
            if (!mask_[s]) continue;
            double* to = again_->at(s);
            if (all) {
                machine_.doubles->widen(to, at_[s], size);
            } else {
                for (int64_t i = 0; i < n; i++) to[i] = at_[s][places[i]];
                std::fill(to + n, to + size, to[n - 1]);
            }
        }
        if (again_->worker(0, size, nullptr) != DONE) return NO_MEMORY;
        for (int k = 0; k < code_.outputs; k++) {
            const double* from = again_->at(code_.inputs + k);
            T* to = at_[code_.inputs + k];
            if (all)
                machine_.replace(to, from, size, marks);
            else
                for (int64_t i = 0; i < n; i++) to[places[i]] = static_cast<T>(from[i]);
        }
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
        const int slot = job_.variables + k;
        if (periodic(k)) {
            at_[slot] = own_[slot] + start % p.channels;
            return;
        }
        const T* values = static_cast<const T*>(p.values);
        T* to = own_[slot];
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
        const Parameter& p = job_.parameters[output - job_.result_count];
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
    const int threads = std::max(1, job.threads), extra = code.outputs - job.result_count;
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
            mine.push_back(job.sums[k] ? next : nullptr);
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
            if (!job.sums[k]) continue;
            double total = 0.0;
            for (int number = 0; number < parts; number++)
                total += sums[static_cast<std::size_t>(width * number + place)];
            job.sums[k][c] = total;
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
    if (job.inner >= job.size)
        for (int k = 0; k < job.result_count; k++) want_large_pages(job.results[k].at, bytes);
    return job.type == FLOAT64 ? run_typed<double>(machine, code, job) : run_typed<float>(machine, code, job);
}

}  // namespace symact
