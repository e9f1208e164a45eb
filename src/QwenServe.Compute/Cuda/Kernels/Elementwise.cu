// What lies between the matrix products when they are too large for fusion: embedding, norm, rope and cache write, SwiGLU.
#include "Common.cuh"

struct EmbedArgs { const bf16* table; float* h; const int* ids; const int* tokenSequences; const int* slots; const int* slotTokens; int hidden; };

// One block a token. h = table[id]; a negative id is the token last drawn in the sequence's slot.
extern "C" __global__ void embed(ARGS EmbedArgs p)
{
    waitForPredecessor();
    releaseSuccessor();
    int token = blockIdx.x;
    int id = p.ids[token];
    if (id < 0) id = __ldcg(p.slotTokens + p.slots[p.tokenSequences[token]]);
    const u32* row = (const u32*)(p.table + (i64)id * p.hidden);
    float2* h = (float2*)(p.h + (i64)token * p.hidden);
    for (int i = threadIdx.x; i < p.hidden / 2; i += blockDim.x)
    {
        u32 pair = row[i];
        h[i] = make_float2(low(pair), high(pair));
    }
}

struct NormArgs { const float* h; const float* weight; bf16* x; const int* rows; float epsilon; int hidden; };

// One block of 256 a row. x = h / rms(h) * weight; with rows, row r is h[rows[r]].
extern "C" __global__ void __launch_bounds__(256) rmsNorm(ARGS NormArgs p)
{
    __shared__ float partial[8];
    waitForPredecessor();
    releaseSuccessor();
    int source = p.rows ? p.rows[blockIdx.x] : blockIdx.x;
    const float4* h = (const float4*)(p.h + (i64)source * p.hidden);
    const float4* weight = (const float4*)p.weight;
    uint2* x = (uint2*)(p.x + (i64)blockIdx.x * p.hidden);
    int count = p.hidden / 4;
    float4 kept[8];
    float sum = 0;
#pragma unroll
    for (int j = 0; j < 8; j++)
    {
        int i = threadIdx.x + j * 256;
        if (i >= count) break;
        float4 v = kept[j] = __ldcg(h + i);
        sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
    }
    for (int i = threadIdx.x + 2048; i < count; i += 256)
    {
        float4 v = __ldcg(h + i);
        sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
    }
    sum = warpSum(sum);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) sum += partial[i];
    float scale = rsqrtf(sum / p.hidden + p.epsilon);
#pragma unroll
    for (int j = 0; j < 8; j++)
    {
        int i = threadIdx.x + j * 256;
        if (i >= count) break;
        float4 v = kept[j], w = weight[i];
        x[i] = make_uint2(pack(v.x * scale * w.x, v.y * scale * w.y), pack(v.z * scale * w.z, v.w * scale * w.w));
    }
    for (int i = threadIdx.x + 2048; i < count; i += 256)
    {
        float4 v = __ldcg(h + i), w = weight[i];
        x[i] = make_uint2(pack(v.x * scale * w.x, v.y * scale * w.y), pack(v.z * scale * w.z, v.w * scale * w.w));
    }
}

struct RopeStoreArgs
{
    bf16* qkv; const float* bias; const float2* turns; const int* positions; const int* cacheSlots; bf16* keys; bf16* values;
    int heads, kvHeads, headDim, blockSize, maxPositions;
};

// One warp a (head, token): adds the bias, turns q and k in place of the projection's output, writes k and v into the cache.
// The cache is [block][kv head][slot in block][head dim]; a negative cache slot is padding.
extern "C" __global__ void __launch_bounds__(256) ropeStore(ARGS RopeStoreArgs p)
{
    releaseSuccessor();
    waitForPredecessor();
    int lane = threadIdx.x % 32;
    int head = blockIdx.x * 8 + threadIdx.x / 32, token = blockIdx.y;
    int total = p.heads + 2 * p.kvHeads;
    if (head >= total) return;
    int half = p.headDim / 2;
    bf16* row = p.qkv + (i64)token * total * p.headDim + (i64)head * p.headDim;
    const float* bias = p.bias ? p.bias + head * p.headDim : 0;
    int slot = p.cacheSlots[token];
    bool isQuery = head < p.heads, isKey = !isQuery && head < p.heads + p.kvHeads;
    const float2* turns = p.turns + (i64)p.positions[token] * half;
    int kvHead = isKey ? head - p.heads : head - p.heads - p.kvHeads;
    bf16* stored = isKey ? p.keys : p.values;
    i64 place = slot < 0 ? 0 : (((i64)(slot / p.blockSize) * p.kvHeads + kvHead) * p.blockSize + slot % p.blockSize) * p.headDim;
    for (int i = lane; i < half; i += 32)
    {
        float a = toFloat(row[i]), b = toFloat(row[i + half]);
        if (bias) { a += bias[i]; b += bias[i + half]; }
        if (isQuery || isKey) rotate(a, b, turns[i]);
        if (isQuery) { row[i] = toBf16(a); row[i + half] = toBf16(b); }
        else if (slot >= 0) { stored[place + i] = toBf16(a); stored[place + i + half] = toBf16(b); }
    }
}

struct SwigluArgs { const bf16* gateUp; bf16* m; int tokens, size; };

// m[t, i] = silu(gateUp[t, i]) * gateUp[t, size + i], eight at a time.
extern "C" __global__ void __launch_bounds__(256) swiglu(ARGS SwigluArgs p)
{
    releaseSuccessor();
    waitForPredecessor();
    int perRow = p.size / 8;
    i64 count = (i64)p.tokens * perRow;
    for (i64 index = blockIdx.x * 256LL + threadIdx.x; index < count; index += gridDim.x * 256LL)
    {
        i64 token = index / perRow;
        int i = (int)(index - token * perRow);
        const uint4* row = (const uint4*)(p.gateUp + token * 2 * p.size);
        uint4 g = __ldcg(row + i), u = __ldcg(row + perRow + i);
        uint4 m;
        m.x = pack(silu(low(g.x)) * low(u.x), silu(high(g.x)) * high(u.x));
        m.y = pack(silu(low(g.y)) * low(u.y), silu(high(g.y)) * high(u.y));
        m.z = pack(silu(low(g.z)) * low(u.z), silu(high(g.z)) * high(u.z));
        m.w = pack(silu(low(g.w)) * low(u.w), silu(high(g.w)) * high(u.w));
        ((uint4*)(p.m + token * p.size))[i] = m;
    }
}

struct RopeTableArgs { float2* turns; const float* frequencies; float scale; int half; i64 count; };

// Once at load: the turns of every position, angles in double so that they hold at a million positions.
extern "C" __global__ void ropeTable(ARGS RopeTableArgs p)
{
    i64 index = blockIdx.x * (i64)blockDim.x + threadIdx.x;
    if (index >= p.count) return;
    i64 position = index / p.half;
    double sine, cosine;
    sincos((double)position * (double)p.frequencies[index - position * p.half], &sine, &cosine);
    p.turns[index] = make_float2((float)cosine * p.scale, (float)sine * p.scale);
}

struct CopyBlockArgs { bf16* cache; i64 layerStride, blockElements; int source, destination; };

// One block of threads a layer.
extern "C" __global__ void copyBlock(ARGS CopyBlockArgs p)
{
    uint4* from = (uint4*)(p.cache + blockIdx.x * p.layerStride + p.source * p.blockElements);
    uint4* to = (uint4*)(p.cache + blockIdx.x * p.layerStride + p.destination * p.blockElements);
    for (i64 i = threadIdx.x; i < p.blockElements / 8; i += blockDim.x) to[i] = from[i];
}

struct CopyArgs { const uint4* from; uint4* to; i64 count; };

// A plain copy, for the rate that others are measured against.
extern "C" __global__ void __launch_bounds__(512) copy(ARGS CopyArgs p)
{
    const i64 stride = gridDim.x * 512LL;
    for (i64 i = blockIdx.x * 512LL + threadIdx.x; i < p.count; i += 4 * stride)
    {
        uint4 v[4];
#pragma unroll
        for (int j = 0; j < 4; j++) if (i + j * stride < p.count) v[j] = p.from[i + j * stride];
#pragma unroll
        for (int j = 0; j < 4; j++) if (i + j * stride < p.count) p.to[i + j * stride] = v[j];
    }
}
