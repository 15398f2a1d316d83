// A pool of threads that sleeps between calls. It survives fork: a child finds that the pool is not its own
// and starts another. Callers that meet a busy pool work alone.
#pragma once

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace symact {

class Pool {
public:
    // Calls task(0) ... task(count - 1), at most `count` at once; gives true, or false where the pool is busy.
    static bool run(int count, const std::function<void(int)>& task) {
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
