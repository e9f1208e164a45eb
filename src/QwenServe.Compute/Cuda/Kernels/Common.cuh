// Shared by every kernel file. NVRTC sees no host headers, so the few PTX instructions that are needed are spelled out here.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef unsigned short bf16;

#define DEVICE static __device__ __forceinline__
#define ARGS const __grid_constant__

#define NEGATIVE_INFINITY __int_as_float(0xff800000)
#define LOG2E 1.4426950408889634f

DEVICE float low(u32 pair) { return __uint_as_float(pair << 16); }
DEVICE float high(u32 pair) { return __uint_as_float(pair & 0xffff0000u); }
DEVICE float toFloat(bf16 value) { return __uint_as_float((u32)value << 16); }

// Two floats rounded to nearest even, the first in the low half.
DEVICE u32 pack(float first, float second)
{
    u32 result;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(second), "f"(first));
    return result;
}

DEVICE bf16 toBf16(float value) { return (bf16)pack(value, 0.f); }

// Programmatic dependent launch: a kernel may start while its predecessor still runs and must wait before it touches
// anything the predecessor writes. No-ops before compute capability 9.0 and for ordinary launches.
DEVICE void waitForPredecessor()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

DEVICE void releaseSuccessor()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// Weights: read once, so they should not push anything out of L1.
DEVICE uint4 loadStream(const void* address)
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(address));
    return v;
}

// d += a (16 x 16, row) * b (16 x 8, column)
DEVICE void mma(float (&d)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

DEVICE u32 sharedAddress(const void* pointer) { return (u32)__cvta_generic_to_shared(pointer); }

DEVICE void loadMatrix4(u32 (&r)[4], u32 address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}

DEVICE void loadMatrix4Transposed(u32 (&r)[4], u32 address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}

// 16 bytes, or zeros where there is nothing to read.
DEVICE void copyAsync(u32 destination, const void* source, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(destination), "l"(source), "r"(valid ? 16 : 0));
}

DEVICE void commitCopies() { asm volatile("cp.async.commit_group;"); }

template <int Pending> DEVICE void waitForCopies() { asm volatile("cp.async.wait_group %0;" :: "n"(Pending)); }

DEVICE float exp2Fast(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

DEVICE float silu(float x) { return x / (1.f + __expf(-x)); }

DEVICE float warpSum(float value)
{
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) value += __shfl_xor_sync(0xffffffffu, value, offset);
    return value;
}

DEVICE float warpMax(float value)
{
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, offset));
    return value;
}

// One cosine-sine pair turns (a, b) = (x[i], x[i + d/2]).
DEVICE void rotate(float& a, float& b, float2 turn)
{
    float first = a * turn.x - b * turn.y;
    b = b * turn.x + a * turn.y;
    a = first;
}

#if __CUDA_ARCH_FEAT_SM90_ALL
#define HOPPER 1

// ---- Hopper: barriers in shared memory, bulk tensor copies, warpgroup products ----

struct alignas(64) TensorMap { u64 opaque[16]; };

DEVICE void initBarrier(u32 barrier, int arrivals) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(arrivals)); }

DEVICE void fenceBarrierInit() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

DEVICE void expectBytes(u32 barrier, u32 bytes) { asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(barrier), "r"(bytes) : "memory"); }

DEVICE void arrive(u32 barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(barrier) : "memory"); }

DEVICE void waitBarrier(u32 barrier, u32 parity)
{
    asm volatile("{\n.reg .pred done;\nAGAIN%=:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra AGAIN%=;\n}"
        :: "r"(barrier), "r"(parity) : "memory");
}

// What is read once should leave the cache first; what every block reads should stay.
static const u64 EvictFirst = 0x12F0000000000000ull, EvictLast = 0x14F0000000000000ull;

DEVICE void bulkLoad2(u32 destination, const TensorMap* map, u32 barrier, int x, int y, u64 policy)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%3, %4}], [%2], %5;"
        :: "r"(destination), "l"(map), "r"(barrier), "r"(x), "r"(y), "l"(policy) : "memory");
}

DEVICE void bulkLoad5(u32 destination, const TensorMap* map, u32 barrier, int c0, int c1, int c2, int c3, int c4, u64 policy)
{
    asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%3, %4, %5, %6, %7}], [%2], %8;"
        :: "r"(destination), "l"(map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4), "l"(policy) : "memory");
}

// A tile in shared memory whose rows of 128 bytes lie one after the other, swizzled by 128 bytes, eight rows a kilobyte.
DEVICE u64 tileDescriptor(u32 address) { return (u64)((address & 0x3ffff) >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62; }

DEVICE void beginProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void commitProducts() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int Pending> DEVICE void waitForProducts() { asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(Pending) : "memory"); }

// Keeps the compiler from touching registers that products write before the wait that stands above.
template <int N> DEVICE void fenceRegisters(float (&d)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++) asm volatile("" : "+f"(d[i]) :: "memory");
}

// d[64 x N] += A[64 x 16] · B[N x 16]ᵀ, both from shared memory.
DEVICE void warpgroupProduct(float (&d)[4], u64 a, u64 b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0,%1,%2,%3}, %4, %5, 1, 1, 1, 0, 0;"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "l"(a), "l"(b));
}

#define REG4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define REG16(d, i) REG4(d, i), REG4(d, i + 4), REG4(d, i + 8), REG4(d, i + 12)

DEVICE void warpgroupProduct(float (&d)[8], u64 a, u64 b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7}, %8, %9, 1, 1, 1, 0, 0;"
        : REG4(d, 0), REG4(d, 4) : "l"(a), "l"(b));
}

DEVICE void warpgroupProduct(float (&d)[16], u64 a, u64 b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, %16, %17, 1, 1, 1, 0, 0;"
        : REG16(d, 0) : "l"(a), "l"(b));
}

DEVICE void warpgroupProduct(float (&d)[32], u64 a, u64 b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;"
        : REG16(d, 0), REG16(d, 16) : "l"(a), "l"(b));
}

DEVICE void warpgroupProduct(float (&d)[64], u64 a, u64 b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, 1, 1, 1, 0, 0;"
        : REG16(d, 0), REG16(d, 16), REG16(d, 32), REG16(d, 48) : "l"(a), "l"(b));
}
#endif
