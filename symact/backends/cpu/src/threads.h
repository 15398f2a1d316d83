// Who works beside the caller: the OpenMP threads of torch where they were found, since these go on spinning for a
// while after every operation of torch and would keep a core from threads of our own; else a pool of threads
// that sleeps between calls. Both survive fork: a child finds that they are not its own, and starts a pool.
// Callers that meet a busy pool work alone.
#pragma once

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace symact {

// Functions of an OpenMP runtime that is in the process already, as libgomp, libomp and libiomp5 export them.
struct Team {
    void (*parallel)(void (*body)(void*), void* data, unsigned threads, unsigned flags) = nullptr;
    int (*number)() = nullptr;
    int (*size)() = nullptr;
    pid_t owner = 0;

    static Team& instance() {
        static Team team;
        return team;
    }

    bool ours() const { return parallel && owner == getpid(); }

    void run(int count, const std::function<void(int)>& task) const {
        struct Work {
            const Team* team;
            const std::function<void(int)>* task;
            int count;
        } work{this, &task, count};
        parallel(
            [](void* data) {
                const Work& own = *static_cast<Work*>(data);
                // A team may be smaller than was asked for.
                for (int k = own.team->number(); k < own.count; k += own.team->size()) (*own.task)(k);
            },
            &work, static_cast<unsigned>(count), 0);
    }
};

class Pool {
public:
    // Calls task(0) ... task(count - 1), at most `count` at once; gives true, or false where the pool is busy.
    static bool run(int count, const std::function<void(int)>& task) {
        if (Team::instance().ours()) {
            Team::instance().run(count, task);
            return true;
        }
        Pool* pool = instance();
        std::unique_lock<std::mutex> turn(pool->turn_, std::try_to_lock);
        if (!turn.owns_lock()) return false;
        return pool->work(count, task);
    }

private:
    std::mutex turn_, guard_;
    std::condition_variable start_, done_;
    const std::function<void(int)>* task_ = nullptr;
    int count_ = 0, waiting_ = 0;
    long generation_ = 0;
    int threads_ = 0;
    pid_t owner_ = getpid();

    // Never freed: threads sleep in it until the process ends.
    static Pool* instance() {
        static std::atomic<Pool*> current{nullptr};
        Pool* pool = current.load(std::memory_order_acquire);
        if (pool && pool->owner_ == getpid()) return pool;
        Pool* fresh = new Pool;
        if (current.compare_exchange_strong(pool, fresh)) return fresh;
        delete fresh;
        return current.load();
    }

    bool work(int count, const std::function<void(int)>& task) {
        {
            std::lock_guard<std::mutex> lock(guard_);
            try {
                for (; threads_ < count - 1; threads_++)
                    std::thread(&Pool::serve, this, threads_ + 1, generation_).detach();
            } catch (const std::system_error&) {
                return false;
            }
            task_ = &task, count_ = count, waiting_ = count - 1;
            generation_++;
        }
        start_.notify_all();
        task(0);
        std::unique_lock<std::mutex> lock(guard_);
        done_.wait(lock, [&] { return waiting_ == 0; });
        return true;
    }

    void serve(int number, long seen) {
        std::unique_lock<std::mutex> lock(guard_);
        for (;;) {
            start_.wait(lock, [&] { return generation_ != seen; });
            seen = generation_;
            if (number >= count_) continue;
            const auto* task = task_;
            lock.unlock();
            (*task)(number);
            lock.lock();
            if (--waiting_ == 0) done_.notify_one();
        }
    }
};

}  // namespace symact
