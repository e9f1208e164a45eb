// Linear layers of up to 128 rows on Hopper: y = x·Wᵀ at the speed of reading W once, with the same fused ends as the matrix-vector kernel.
//
// W is the 64-row operand of the warpgroup product and the rows of x are its columns, so a small batch wastes nothing. A producer warp
// keeps several stages of W and x in flight through the bulk copy engine; two consumer warpgroups take 64 of a tile's 128 rows each.
// Work is divided by columns of W too (stream-K: Osama et al. 2023, arXiv 2301.03598): every block gets the same number of 64-wide steps, so
// no multiprocessor idles whatever the shape; the last block to finish a tile that several share adds up their parts in order.
// The tensor maps arrange the rows of a tile so that the pairs an end needs together (gate and up, the halves of a head) lie eight rows
// apart, where one thread holds both. The first stages of W are asked for before the preceding kernel has ended.
#include "Common.cuh"

#if HOPPER

struct HopperGemmArgs
{
    TensorMap w, x;
    const float* bias; void* out; float* partials; int* arrivals;
    int n, k, m, tiles;
    const float* squares; const float* nextWeight; bf16* nextX; float* nextSquares;
    const float2* turns; const int* positions; const int* cacheSlots; bf16* keys; bf16* values;
    int heads, kvHeads, headDim, blockSize;
    float epsilon; int squareCount;
};

enum { Store = 0, Add = 1, Swiglu = 2, RopeStore = 3 };

template <int Epilogue, int N, int Stages> DEVICE void product(const HopperGemmArgs& p)
{
    constexpr int WBytes = 128 * 128, XBytes = N * 128, StageBytes = WBytes + XBytes, Registers = N / 2;
    extern __shared__ __align__(1024) u8 dynamicShared[];
    __shared__ __align__(8) u64 barriers[2 * Stages];
    __shared__ int isLast;
    __shared__ float scales[N];
    const u32 base = (sharedAddress(dynamicShared) + 1023) & ~1023u, full = sharedAddress(barriers), empty = full + 8 * Stages;
    const int steps = p.k / 64;
    const i64 total = (i64)p.tiles * steps;
    const int begin = (int)(total * blockIdx.x / gridDim.x), end = (int)(total * (blockIdx.x + 1) / gridDim.x);
    const int warp = threadIdx.x / 32;

    if (threadIdx.x == 0)
    {
        for (int i = 0; i < Stages; i++)
        {
            initBarrier(full + 8 * i, 1);
            initBarrier(empty + 8 * i, 2);
        }
        fenceBarrierInit();
    }
    __syncthreads();
    releaseSuccessor();

    if (warp == 8)
    {
        if (threadIdx.x % 32 == 0)
        {
            auto loadW = [&](int unit, int stage)
            {
                int tile = unit / steps, k = (unit - tile * steps) * 64;
                u32 to = base + stage * StageBytes, barrier = full + 8 * stage;
                expectBytes(barrier, StageBytes);
                if (Epilogue == Swiglu) bulkLoad5(to, &p.w, barrier, k, 0, 0, tile * 8, 0, EvictFirst);
                else if (Epilogue == RopeStore) bulkLoad5(to, &p.w, barrier, k, 0, 0, 0, tile * (128 / p.headDim), EvictFirst);
                else bulkLoad2(to, &p.w, barrier, k, tile * 128, EvictFirst);
            };
            auto loadX = [&](int unit, int stage)
            {
                int k = (unit % steps) * 64;
                bulkLoad2(base + stage * StageBytes + WBytes, &p.x, full + 8 * stage, k, 0, EvictLast);
            };
            int ahead = min(end, begin + Stages);
            for (int unit = begin; unit < ahead; unit++) loadW(unit, unit - begin);
            waitForPredecessor();
            for (int unit = begin; unit < ahead; unit++) loadX(unit, unit - begin);
            int stage = 0;
            u32 phase = 0;
            for (int unit = ahead; unit < end; unit++)
            {
                waitBarrier(empty + 8 * stage, phase);
                loadW(unit, stage);
                loadX(unit, stage);
                if (++stage == Stages) { stage = 0; phase ^= 1; }
            }
        }
        return;
    }

    waitForPredecessor();
    const int group = warp / 4, lane = threadIdx.x % 32;
    const int row = group * 64 + (warp % 4) * 16 + lane / 4, column = 2 * (lane % 4);
    // Where x is h * weight, its rms comes from the sums of squares that lie beside it; the first products still wait for x.
    constexpr bool Scaled = Epilogue == Swiglu || Epilogue == RopeStore;
    if (Scaled && p.squares)
    {
        constexpr int Tokens = N / 8;
        const int count = p.squareCount;
        float sum[Tokens];
#pragma unroll
        for (int c = 0; c < Tokens; c++) sum[c] = 0;
#pragma unroll (Tokens > 2 ? 4 : 8)
        for (int i = lane; i < count; i += 32)
#pragma unroll
            for (int c = 0; c < Tokens; c++) if (warp * Tokens + c < p.m) sum[c] += __ldcg(p.squares + (warp * Tokens + c) * count + i);
#pragma unroll
        for (int c = 0; c < Tokens; c++)
        {
            float whole = warpSum(sum[c]);
            if (lane == 0) scales[warp * Tokens + c] = rsqrtf(whole / p.k + p.epsilon);
        }
        asm volatile("bar.sync 1, 256;" ::: "memory");
    }
    int stage = 0;
    u32 phase = 0;
    for (int unit = begin; unit < end;)
    {
        const int tile = unit / steps, tileBegin = tile * steps, tileEnd = tileBegin + steps, last = min(end, tileEnd), first = unit;
        float d[Registers];
#pragma unroll
        for (int i = 0; i < Registers; i++) d[i] = 0;
        int previous = -1;
        for (; unit < last; unit++)
        {
            waitBarrier(full + 8 * stage, phase);
            const u64 a = tileDescriptor(base + stage * StageBytes + group * 64 * 128), b = tileDescriptor(base + stage * StageBytes + WBytes);
            beginProducts();
#pragma unroll
            for (int k = 0; k < 4; k++) warpgroupProduct(d, a + 2 * k, b + 2 * k);
            commitProducts();
            // The stage before this one is free once its products are done.
            waitForProducts<1>();
            if (previous >= 0 && threadIdx.x % 128 == 0) arrive(empty + 8 * previous);
            previous = stage;
            if (++stage == Stages) { stage = 0; phase ^= 1; }
        }
        waitForProducts<0>();
        fenceRegisters(d);
        if (threadIdx.x % 128 == 0) arrive(empty + 8 * previous);

        if (first != tileBegin || last != tileEnd)
        {
            // Others have parts of this tile. A block's part that begins a tile in its midst lies in its first place, else in its second.
            float* part = p.partials + ((i64)blockIdx.x * 2 + (first == tileBegin)) * N * 128 + threadIdx.x;
#pragma unroll
            for (int i = 0; i < Registers; i++) __stcg(part + i * 256, d[i]);
            // The block whose range holds a unit: the largest b with total * b / grid <= unit.
            auto blockOf = [&](int u)
            {
                int b = (int)((i64)u * gridDim.x / total);
                while (b + 1 < (int)gridDim.x && total * (b + 1) / gridDim.x <= u) b++;
                while (total * b / gridDim.x > u) b--;
                return b;
            };
            const int from = blockOf(tileBegin), to = blockOf(tileEnd - 1);
            __threadfence();
            asm volatile("bar.sync 1, 256;" ::: "memory");
            if (threadIdx.x == 0)
            {
                isLast = atomicAdd(p.arrivals + tile, 1) == to - from;
                if (isLast) p.arrivals[tile] = 0;
            }
            asm volatile("bar.sync 1, 256;" ::: "memory");
            bool mine = isLast;
            asm volatile("bar.sync 1, 256;" ::: "memory");
            if (!mine) continue;
            __threadfence();
#pragma unroll
            for (int i = 0; i < Registers; i++) d[i] = 0;
            // Only the first part can begin where the tile does. Several parts are on their way at a time.
            constexpr int Together = Registers <= 8 ? 8 : Registers <= 16 ? 4 : Registers <= 32 ? 2 : 1;
            const bool firstWhole = total * from / gridDim.x <= tileBegin;
            for (int b = from; b <= to; b += Together)
            {
                float part[Together][Registers];
#pragma unroll
                for (int c = 0; c < Together; c++)
                {
                    const float* source = p.partials + ((i64)(b + c) * 2 + (b + c == from && firstWhole)) * N * 128 + threadIdx.x;
#pragma unroll
                    for (int i = 0; i < Registers; i++) part[c][i] = b + c <= to ? __ldcg(source + i * 256) : 0.f;
                }
#pragma unroll
                for (int c = 0; c < Together; c++)
#pragma unroll
                    for (int i = 0; i < Registers; i++) d[i] += part[c][i];
            }
        }

        // Value pair c of a thread: rows row and row + 8 of token i * 2 + column + j. What an end reads is asked for in groups.
        constexpr int Pairs = Registers / 2, Group = Pairs < 8 ? Pairs : 8;
#pragma unroll
        for (int start = 0; start < Pairs; start += Group)
        {
            float2 read[Group];
            int places[Group];
#pragma unroll
            for (int c = 0; c < Group; c++)
            {
                const int i = (start + c) / 2 * 4, j = (start + c) % 2, token = i * 2 + column + j;
                read[c] = make_float2(0, 0);
                places[c] = -1;
                if (token >= p.m) continue;
                if (Epilogue == Add)
                {
                    const float* out = (const float*)p.out + (i64)token * p.n + tile * 128 + row;
                    if (tile * 128 + row < p.n) read[c].x = __ldcg(out);
                    if (tile * 128 + row + 8 < p.n) read[c].y = __ldcg(out + 8);
                }
                if (Epilogue == RopeStore)
                {
                    const int half = p.headDim / 2, index = row % p.headDim / 16 * 8 + row % 8;
                    read[c] = __ldg(p.turns + (i64)__ldg(p.positions + token) * half + index);
                    places[c] = __ldg(p.cacheSlots + token);
                }
            }
#pragma unroll
            for (int c = 0; c < Group; c++)
            {
                const int i = (start + c) / 2 * 4, j = (start + c) % 2, token = i * 2 + column + j;
                float x = d[i + j], y = d[i + j + 2];
                if (Epilogue == Add && p.nextX)
                {
                    // A warp holds sixteen rows, so it has their sum of squares.
                    const int at = tile * 128 + row;
                    const bool low = token < p.m && at < p.n, high = token < p.m && at + 8 < p.n;
                    x = low ? x + read[c].x : 0;
                    y = high ? y + read[c].y : 0;
                    float square = x * x + y * y;
                    square += __shfl_xor_sync(0xffffffffu, square, 4);
                    square += __shfl_xor_sync(0xffffffffu, square, 8);
                    square += __shfl_xor_sync(0xffffffffu, square, 16);
                    float* out = (float*)p.out + (i64)token * p.n + at;
                    bf16* next = p.nextX + (i64)token * p.n + at;
                    if (low)
                    {
                        *out = x;
                        next[0] = toBf16(x * __ldg(p.nextWeight + at));
                        if (lane < 4) p.nextSquares[(i64)token * (p.n / 16) + tile * 8 + warp] = square;
                    }
                    if (high)
                    {
                        out[8] = y;
                        next[8] = toBf16(y * __ldg(p.nextWeight + at + 8));
                    }
                    continue;
                }
                if (token >= p.m) continue;
                if (Scaled && p.squares)
                {
                    x *= scales[token];
                    y *= scales[token];
                }
                if (Epilogue == Store || Epilogue == Add)
                {
                    int at = tile * 128 + row;
                    float* out = (float*)p.out + (i64)token * p.n + at;
                    if (at < p.n) *out = x + read[c].x;
                    if (at + 8 < p.n) out[8] = y + read[c].y;
                }
                else if (Epilogue == Swiglu)
                {
                    // Rows 16 g .. 16 g + 7 of the tile are gates, the next eight the ups that belong to them.
                    int at = tile * 64 + row / 16 * 8 + row % 8;
                    if (at < p.n) ((bf16*)p.out)[(i64)token * p.n + at] = toBf16(silu(x) * y);
                }
                else
                {
                    int half = p.headDim / 2, head = tile * (128 / p.headDim) + row / p.headDim, index = row % p.headDim / 16 * 8 + row % 8, at = head * p.headDim + index;
                    if (at >= p.n) continue;
                    if (p.bias) { x += __ldg(p.bias + at); y += __ldg(p.bias + at + half); }
                    if (head < p.heads + p.kvHeads) rotate(x, y, read[c]);
                    if (head < p.heads)
                    {
                        bf16* q = (bf16*)p.out + (i64)token * p.n + at;
                        q[0] = toBf16(x);
                        q[half] = toBf16(y);
                    }
                    else if (places[c] >= 0)
                    {
                        bool isKey = head < p.heads + p.kvHeads;
                        int place = places[c], kvHead = head - p.heads - (isKey ? 0 : p.kvHeads);
                        bf16* to = (isKey ? p.keys : p.values) + (((i64)(place / p.blockSize) * p.kvHeads + kvHead) * p.blockSize + place % p.blockSize) * p.headDim + index;
                        to[0] = toBf16(x);
                        to[half] = toBf16(y);
                    }
                }
            }
        }
    }
}

// Compiled once for each number of columns, TILE. Few registers, so that a block of another kernel finds room beside this one's.
#if TILE <= 64
#define BLOCKS 2
#else
#define BLOCKS 1
#endif
static const int Depth = TILE <= 8 ? 6 : TILE <= 32 ? 5 : TILE <= 64 ? 4 : 6;

extern "C" __global__ void __launch_bounds__(288, BLOCKS) hopperStore(ARGS HopperGemmArgs p) { product<Store, TILE, Depth>(p); }
extern "C" __global__ void __launch_bounds__(288, BLOCKS) hopperAdd(ARGS HopperGemmArgs p) { product<Add, TILE, Depth>(p); }
extern "C" __global__ void __launch_bounds__(288, BLOCKS) hopperSwiglu(ARGS HopperGemmArgs p) { product<Swiglu, TILE, Depth>(p); }
extern "C" __global__ void __launch_bounds__(288, BLOCKS) hopperRopeStore(ARGS HopperGemmArgs p) { product<RopeStore, TILE, Depth>(p); }

#endif
