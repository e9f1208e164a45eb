// Attention of sequences with one new token over the paged cache.
//
// A block takes one sequence, one kv head and one share of the keys; the query heads of the group are the rows of a 16 x 16 operand,
// so each key and value is read once. Keys and values go from memory to the operand registers without shared memory: for q·k a lane
// takes eight consecutive elements of head_dim on both sides (the order of summation is free), for p·v it takes eight consecutive
// columns of two keys and interleaves them (the order of columns is free). The four or eight warps take sixteen keys in turn, each with its
// own running softmax; the last block to finish a sequence and head merges the shares in order.
// Compiled for HEAD_DIM (64 or 128) and GROUP (query heads a kv head, at most 16).
#include "Common.cuh"

struct DecodeAttentionArgs
{
    const bf16* q; const bf16* keys; const bf16* values; bf16* out; const int* contexts; const int* tables; const int* tableStride;
    float* partials; float2* partialSums; int* arrivals; float scale; int qStride, heads, kvHeads, blockSize, window;
};

static const int Sets = HEAD_DIM / 64, Pieces = HEAD_DIM / 32;

template <int Warps> DEVICE void attend(const DecodeAttentionArgs& p)
{
    constexpr int Threads = 32 * Warps, Round = 16 * Warps;
    __shared__ float merged[Warps][GROUP][HEAD_DIM];
    __shared__ float2 sums[Warps][GROUP];
    __shared__ float2 shares[64][GROUP];
    __shared__ int isLast;
    releaseSuccessor();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const int kvHead = blockIdx.x, split = blockIdx.y, splits = gridDim.y, sequence = blockIdx.z;
    const int context = p.contexts[sequence];
    if (context <= 0) return;
    const int origin = p.window > 0 && context > p.window ? context - p.window : 0;
    const int base = origin & ~15;
    const int length = context - base;
    const int chunk = ((length + splits - 1) / splits + Round - 1) & ~(Round - 1);
    const int active = (length + chunk - 1) / chunk;
    if (split >= active) return;
    const int begin = base + split * chunk, end = min(context, begin + chunk);
    const int* table = p.tables + (i64)sequence * *p.tableStride;
    const i64 headStride = (i64)p.blockSize * HEAD_DIM, blockStride = headStride * p.kvHeads;
    const bf16* keys = p.keys + kvHead * headStride;
    const bf16* values = p.values + kvHead * headStride;
    const uint4 zero = make_uint4(0, 0, 0, 0);

    uint4 k[2][2][Pieces], v[2][4][Sets];
    auto load = [&](int stage, int key, int block)
    {
        i64 place = block * blockStride + (i64)(key % p.blockSize) * HEAD_DIM;
#pragma unroll
        for (int n = 0; n < 2; n++)
#pragma unroll
            for (int j = 0; j < Pieces; j++)
                k[stage][n][j] = key + n * 8 + g < end ? loadStream(keys + place + (n * 8 + g) * HEAD_DIM + j * 32 + t * 8) : zero;
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            int row = 2 * t + (i & 1) + (i & 2) * 4;
#pragma unroll
            for (int u = 0; u < Sets; u++)
                v[stage][i][u] = key + row < end ? loadStream(values + place + row * HEAD_DIM + u * 64 + g * 8) : zero;
        }
    };
    auto blockOf = [&](int key) { return key < end ? table[key / p.blockSize] : 0; };

    float o[Sets][8][4] = {};
    float m0 = NEGATIVE_INFINITY, m1 = NEGATIVE_INFINITY, l0 = 0, l1 = 0;
    const float scale = p.scale * LOG2E;
    int key = begin + warp * 16;
    int nextBlock = blockOf(key + Round);
    // The preceding kernel writes the newest key, nothing else of the cache, so the others need not wait for it.
    const bool early = key + 16 < context;
    const int firstBlock = blockOf(key);
    if (key < end && early) load(0, key, firstBlock);
    waitForPredecessor();
    if (key < end && !early) load(0, key, firstBlock);

    uint4 q[Pieces], q8[Pieces];
    const bf16* query = p.q + (i64)sequence * p.qStride + (i64)kvHead * GROUP * HEAD_DIM;
#pragma unroll
    for (int j = 0; j < Pieces; j++)
    {
        q[j] = g < GROUP ? __ldcg((const uint4*)(query + g * HEAD_DIM + j * 32 + t * 8)) : zero;
        q8[j] = g + 8 < GROUP ? __ldcg((const uint4*)(query + (g + 8) * HEAD_DIM + j * 32 + t * 8)) : zero;
    }

    for (int first = key; first < end; first += 2 * Round)
    {
#pragma unroll
        for (int stage = 0; stage < 2; stage++)
        {
            key = first + stage * Round;
            if (key >= end) break;
            int block = nextBlock;
            nextBlock = blockOf(key + 2 * Round);
            if (key + Round < end) load(stage ^ 1, key + Round, block);
            float s[2][4] = {};
#pragma unroll
            for (int n = 0; n < 2; n++)
#pragma unroll
                for (int j = 0; j < Pieces; j++)
                {
                    uint4 b = k[stage][n][j];
                    mma(s[n], q[j].x, q8[j].x, q[j].y, q8[j].y, b.x, b.y);
                    mma(s[n], q[j].z, q8[j].z, q[j].w, q8[j].w, b.z, b.w);
                }
            float top0 = m0, top1 = m1;
#pragma unroll
            for (int n = 0; n < 2; n++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                {
                    int at = key + n * 8 + 2 * t + (i & 1);
                    s[n][i] = at >= end || at < origin ? NEGATIVE_INFINITY : s[n][i] * scale;
                    if (i < 2) top0 = fmaxf(top0, s[n][i]); else top1 = fmaxf(top1, s[n][i]);
                }
            top0 = fmaxf(top0, __shfl_xor_sync(~0u, top0, 1));
            top0 = fmaxf(top0, __shfl_xor_sync(~0u, top0, 2));
            float safe0 = top0 == NEGATIVE_INFINITY ? 0 : top0, safe1 = 0;
            float shrink0 = exp2Fast(m0 - safe0), shrink1 = 1;
            m0 = top0;
            if (GROUP > 8)
            {
                top1 = fmaxf(top1, __shfl_xor_sync(~0u, top1, 1));
                top1 = fmaxf(top1, __shfl_xor_sync(~0u, top1, 2));
                safe1 = top1 == NEGATIVE_INFINITY ? 0 : top1;
                shrink1 = exp2Fast(m1 - safe1);
                m1 = top1;
            }
            l0 *= shrink0;
            l1 *= shrink1;
            u32 a0[2], a1[2] = {0, 0};
#pragma unroll
            for (int n = 0; n < 2; n++)
            {
                float x = exp2Fast(s[n][0] - safe0), y = exp2Fast(s[n][1] - safe0);
                l0 += x + y;
                a0[n] = pack(x, y);
                if (GROUP > 8)
                {
                    x = exp2Fast(s[n][2] - safe1);
                    y = exp2Fast(s[n][3] - safe1);
                    l1 += x + y;
                    a1[n] = pack(x, y);
                }
            }
#pragma unroll
            for (int u = 0; u < Sets; u++)
            {
                const u32* v0 = &v[stage][0][u].x; const u32* v1 = &v[stage][1][u].x;
                const u32* v2 = &v[stage][2][u].x; const u32* v3 = &v[stage][3][u].x;
#pragma unroll
                for (int j = 0; j < 8; j++)
                {
                    o[u][j][0] *= shrink0;
                    o[u][j][1] *= shrink0;
                    if (GROUP > 8) { o[u][j][2] *= shrink1; o[u][j][3] *= shrink1; }
                    const u32 halves = j & 1 ? 0x7632 : 0x5410;
                    mma(o[u][j], a0[0], a1[0], a0[1], a1[1], __byte_perm(v0[j / 2], v1[j / 2], halves), __byte_perm(v2[j / 2], v3[j / 2], halves));
                }
            }
        }
    }

    l0 += __shfl_xor_sync(~0u, l0, 1);
    l0 += __shfl_xor_sync(~0u, l0, 2);
    l1 += __shfl_xor_sync(~0u, l1, 1);
    l1 += __shfl_xor_sync(~0u, l1, 2);
#pragma unroll
    for (int u = 0; u < Sets; u++)
#pragma unroll
        for (int j = 0; j < 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++)
            {
                int row = g + (i < 2 ? 0 : 8), column = u * 64 + (2 * t + (i & 1)) * 8 + j;
                if (row < GROUP) merged[warp][row][column] = o[u][j][i];
            }
    if (t == 0 && g < GROUP) sums[warp][g] = make_float2(m0, l0);
    if (t == 0 && g + 8 < GROUP) sums[warp][g + 8] = make_float2(m1, l1);
    __syncthreads();

    bf16* out = p.out + (i64)sequence * p.heads * HEAD_DIM + (i64)kvHead * GROUP * HEAD_DIM;
    const i64 unit = (i64)sequence * p.kvHeads + kvHead;
    for (int i = threadIdx.x; i < GROUP * HEAD_DIM; i += Threads)
    {
        int row = i / HEAD_DIM, column = i % HEAD_DIM;
        float top = NEGATIVE_INFINITY, sum = 0, value = 0;
#pragma unroll
        for (int w = 0; w < Warps; w++) top = fmaxf(top, sums[w][row].x);
        // A share whose keys all lie before the window has no maximum.
        float safe = top == NEGATIVE_INFINITY ? 0 : top;
#pragma unroll
        for (int w = 0; w < Warps; w++)
        {
            float weight = exp2Fast(sums[w][row].x - safe);
            sum += sums[w][row].y * weight;
            value += merged[w][row][column] * weight;
        }
        if (active == 1) out[i] = toBf16(value / sum);
        else
        {
            __stcg(p.partials + ((unit * splits + split) * GROUP + row) * HEAD_DIM + column, value);
            if (column == 0) __stcg(p.partialSums + (unit * splits + split) * GROUP + row, make_float2(top, sum));
        }
    }
    if (active == 1) return;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0)
    {
        isLast = atomicAdd(p.arrivals + unit, 1) == active - 1;
        if (isLast) p.arrivals[unit] = 0;
    }
    __syncthreads();
    if (!isLast) return;
    __threadfence();
    for (int i = threadIdx.x; i < active * GROUP; i += Threads) shares[i / GROUP][i % GROUP] = __ldcg(p.partialSums + unit * splits * GROUP + i);
    __syncthreads();
    if (threadIdx.x < GROUP)
    {
        float top = NEGATIVE_INFINITY, sum = 0;
        for (int s = 0; s < active; s++) top = fmaxf(top, shares[s][threadIdx.x].x);
        for (int s = 0; s < active; s++)
        {
            float weight = exp2Fast(shares[s][threadIdx.x].x - top);
            sum += shares[s][threadIdx.x].y * weight;
            shares[s][threadIdx.x].x = weight;
        }
        sums[0][threadIdx.x].y = 1.f / sum;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < GROUP * HEAD_DIM / 4; i += Threads)
    {
        int row = i / (HEAD_DIM / 4);
        const float4* source = (const float4*)(p.partials + unit * splits * GROUP * HEAD_DIM) + i;
        float4 value = make_float4(0, 0, 0, 0);
#pragma unroll 8
        for (int s = 0; s < active; s++)
        {
            float4 part = __ldcg(source + s * (GROUP * HEAD_DIM / 4));
            float weight = shares[s][row].x;
            value.x += part.x * weight;
            value.y += part.y * weight;
            value.z += part.z * weight;
            value.w += part.w * weight;
        }
        float inverse = sums[0][row].y;
        ((uint2*)out)[i] = make_uint2(pack(value.x * inverse, value.y * inverse), pack(value.z * inverse, value.w * inverse));
    }
}

extern "C" __global__ void __launch_bounds__(128, 2) decodeAttention4(ARGS DecodeAttentionArgs p) { attend<4>(p); }

// What the eight warps merge must fit the static shared memory.
#if GROUP * HEAD_DIM <= 1024
extern "C" __global__ void __launch_bounds__(256, 1) decodeAttention8(ARGS DecodeAttentionArgs p) { attend<8>(p); }
#endif
