// The plain C interface that native.py calls through ctypes.
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>

#include "compare.h"
#include "lookup.h"
#include "patterns.h"
#include "run.h"
#include "threads.h"

using namespace symact;

namespace {

const Machine* const MACHINES[] = {
#if defined(__x86_64__)
    &avx512_machine, &avx2_machine,
#endif
    &portable_machine};

bool supported(const Machine* machine) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (machine == &avx2_machine) return avx2;
    if (machine == &avx512_machine)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return machine == &portable_machine;
}

// The wanted instruction set, or the best there is for an empty name.
const Machine* machine_of(const char* name) {
    for (const Machine* machine : MACHINES)
        if (supported(machine) && (!*name || !std::strcmp(name, machine->name))) return machine;
    return nullptr;
}

const Machine* current = machine_of("");

// The float64 form is made when it is asked for first.
struct Compiled {
    int inputs;
    std::vector<Source> sources;
    std::vector<int> outputs;
    Bytecode fused, plain;
    std::once_flag made;
    Mending mending;

    const Bytecode& form(int type) {
        if (type != FLOAT64) return fused;
        std::call_once(made, [&] { plain = compile(inputs, sources, outputs, false); });
        return plain;
    }
};

// Three numbers a parameter: the address of its values, its channels and inner size.
std::vector<Parameter> parameter_list(const int64_t* numbers, int count) {
    std::vector<Parameter> list;
    for (int k = 0; k < count; k++)
        list.push_back({reinterpret_cast<const void*>(numbers[3 * k]), numbers[3 * k + 1], numbers[3 * k + 2]});
    return list;
}

}  // namespace

extern "C" {

// Chooses the instruction set; gives its name, or null where this processor does not have it.
const char* symact_select(const char* name) {
    const Machine* machine = machine_of(name);
    if (machine) current = machine;
    return machine ? machine->name : nullptr;
}

// Lets the threads of an OpenMP runtime work: addresses of its GOMP_parallel, omp_get_thread_num, omp_get_num_threads.
void symact_use_team(void* parallel, void* number, void* size) {
    Team& team = Team::instance();
    team.number = reinterpret_cast<int (*)()>(number), team.size = reinterpret_cast<int (*)()>(size);
    team.parallel = reinterpret_cast<void (*)(void (*)(void*), void*, unsigned, unsigned)>(parallel);
    team.owner = getpid();
}

const char* symact_isa() { return current->name; }

// The number of an operation of program.py, or -1.
int symact_operation(const char* name) {
    if (!std::strcmp(name, "const")) return OP_const;
    int number = operation_number(name);
    return number < OP_public ? number : -1;
}

// `code` has four numbers per operation, the operation and its arguments; `values` are those of constants.
void* symact_compile(int inputs, int operations, const int32_t* code, const double* values, int outputs,
                     const int32_t* numbers) try {
    std::vector<Source> sources(operations);
    for (int i = 0; i < operations; i++)
        sources[i] = {code[4 * i], {code[4 * i + 1], code[4 * i + 2], code[4 * i + 3]}, values[i]};
    // Slots are numbered in 16 bits; one operation makes at most two.
    if (operations > 8000 || inputs > 8000) return nullptr;
    auto compiled = std::make_unique<Compiled>();
    compiled->inputs = inputs;
    compiled->sources = std::move(sources);
    compiled->outputs.assign(numbers, numbers + outputs);
    compiled->fused = compile(inputs, compiled->sources, compiled->outputs, true);
    return compiled.release();
} catch (const std::bad_alloc&) {
    return nullptr;
}

// The steps of the fused form as text, one a line, cut to `size`; for people and tests.
void symact_describe(void* program, char* text, int size) {
    const Bytecode& code = static_cast<Compiled*>(program)->fused;
    std::string out;
    for (const Step& s : code.steps) {
        out += std::string(operation_name(s.op)) + " " + std::to_string(s.y);
        for (int slot : {s.a, s.b, s.c, s.d}) out += " " + std::to_string(slot);
        out += "\n";
    }
    std::strncpy(text, out.c_str(), size - 1);
    text[size - 1] = 0;
}

// From now on `program` computes in float64 where |x| of a variable is below `low` or above `high`; at 0 unless `zero`. How,
// says `symact_complete`; until then a run that needs it gives NEEDS_EXACT.
void symact_mend(void* program, int variable, float low, float high, int zero) {
    std::vector<Window>& windows = static_cast<Compiled*>(program)->mending.windows;
    if (static_cast<int>(windows.size()) <= variable) windows.resize(variable + 1);
    windows[variable] = {low, high, zero != 0};
}

// `exact` has the same inputs and outputs as `program`, and has to live as long.
void symact_complete(void* program, void* exact) {
    static_cast<Compiled*>(program)->mending.exact.store(&static_cast<Compiled*>(exact)->form(FLOAT64),
                                                         std::memory_order_release);
}

void symact_free(void* program) { delete static_cast<Compiled*>(program); }

// Gives an `Outcome`. `parameters` holds, for each, the address of its values, its channels and inner size.
int symact_run(void* program, int type, int64_t size, int threads, const void* x, const void* grad, void* y,
               const int64_t* parameters, double* const* parameter_grads) try {
    const Bytecode& code = static_cast<Compiled*>(program)->form(type);
    const int count = code.inputs - 1 - (grad ? 1 : 0);
    const std::vector<Parameter> list = parameter_list(parameters, count);
    const Mending& mending = static_cast<Compiled*>(program)->mending;
    const View tensors[] = {{const_cast<void*>(x), 0, 1}, {const_cast<void*>(grad), 0, 1}}, result{y, 0, 1};
    Job job{static_cast<Type>(type), size, size, tensors, grad ? 2 : 1, 1, list.data(), count, &result, 1,
            parameter_grads, threads, type != FLOAT64 && !mending.windows.empty() ? &mending : nullptr};
    return run(*current, code, job);
} catch (const std::bad_alloc&) {
    return NO_MEMORY;
}

// The same with all arguments as numbers of 64 bits in one string of bytes: from Python that takes a third of the time.
int symact_call(const char* fields) {
    struct {
        int64_t program, type, size, threads, x, grad, y, parameters, parameter_grads;
    } call;
    std::memcpy(&call, fields, sizeof(call));
    // An empty tensor has no addresses.
    if (!call.size) return DONE;
    auto address = [](int64_t number) { return reinterpret_cast<void*>(static_cast<intptr_t>(number)); };
    return symact_run(address(call.program), static_cast<int>(call.type), call.size, static_cast<int>(call.threads),
                      address(call.x), address(call.grad), address(call.y),
                      static_cast<const int64_t*>(address(call.parameters)),
                      static_cast<double* const*>(address(call.parameter_grads)));
}

// Runs a program of any number of tensors; all arguments in one string of bytes. Behind the first ten come the address,
// row and step of every tensor that goes in, then of every one that comes out (see `View`). Gives an `Outcome`.
int symact_map(const char* fields) try {
    struct {
        int64_t program, type, size, inner, threads, tensors, variables, results, parameters, sums;
    } call;
    std::memcpy(&call, fields, sizeof(call));
    if (!call.size) return DONE;
    auto address = [](int64_t number) { return reinterpret_cast<void*>(static_cast<intptr_t>(number)); };
    Compiled* compiled = static_cast<Compiled*>(address(call.program));
    const Bytecode& code = compiled->form(static_cast<int>(call.type));
    std::vector<View> views(static_cast<std::size_t>(call.tensors + call.results));
    static_assert(sizeof(View) == 3 * sizeof(int64_t));
    std::memcpy(views.data(), fields + sizeof(call), views.size() * sizeof(View));
    const int tensors = static_cast<int>(call.tensors), count = code.inputs - tensors;
    const std::vector<Parameter> list = parameter_list(static_cast<const int64_t*>(address(call.parameters)), count);
    Job job{static_cast<Type>(call.type), call.size, call.inner, views.data(), tensors,
            static_cast<int>(call.variables), list.data(), count, views.data() + tensors,
            static_cast<int>(call.results), static_cast<double* const*>(address(call.sums)),
            static_cast<int>(call.threads)};
    if (call.type != FLOAT64 && !compiled->mending.windows.empty()) job.mending = &compiled->mending;
    return run(*current, code, job);
} catch (const std::bad_alloc&) {
    return NO_MEMORY;
}

// Adds a `Mark` of every input to `marks`, of `narrow` in float32 against `exact` in float64; gives an `Outcome`.
int symact_compare(void* narrow, void* exact, const double* const* inputs, int64_t size, double relative,
                   double absolute, uint8_t* marks) try {
    return compare(*current, static_cast<Compiled*>(narrow)->fused, static_cast<Compiled*>(exact)->form(FLOAT64),
                   {inputs, size, relative, absolute}, marks);
} catch (const std::bad_alloc&) {
    return NO_MEMORY;
}

// Fills a table of 65,536 values of 16 bits, or slopes of float32 of a backward program; 1 on success.
int symact_tabulate(void* program, int type, void* table) try {
    return tabulate(*current, static_cast<Compiled*>(program)->fused, static_cast<Type>(type), table);
} catch (const std::bad_alloc&) {
    return NO_MEMORY;
}

// 1 where the output is a product of the gradient and of what depends on x alone, so that a table can hold that.
int symact_has_slope(void* program) { return is_slope_times_grad(static_cast<Compiled*>(program)->fused); }

// Fills y from a table of 65,536 values, or slopes where there is a gradient; all arguments in one string of bytes.
void symact_look_up(const char* fields) {
    struct {
        int64_t table, type, size, threads, x, grad, y;
    } call;
    std::memcpy(&call, fields, sizeof(call));
    auto address = [](int64_t number) { return reinterpret_cast<uint16_t*>(static_cast<intptr_t>(number)); };
    look_up(*current, {static_cast<Type>(call.type), call.size, address(call.x), address(call.grad), address(call.y),
                       address(call.table), static_cast<int>(call.threads)});
}

}  // extern "C"
