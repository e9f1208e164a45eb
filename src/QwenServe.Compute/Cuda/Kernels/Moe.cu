// Sparse layers: routing, experts over the tokens they were chosen for, and the sum.
//
// A pair is a token with one of its experts. Pairs are sorted by expert and cut into tiles of 32; a warp takes sixteen rows of an
// expert's weights for all pairs of a tile, with the weights going straight from memory to the operand registers as in Gemv.cu.
#include "Common.cuh"

static const int TilePairs = 32, MaxExperts = 256;

struct MoeArgs
{
    const float* logits; const bf16* x; const bf16* gateUp; const bf16* down; const float* sharedGate; const float* shared;
    float* h; bf16* m; bf16* y; int* experts; float* weights; int* sorted; int4* tiles; int* tileCount;
    int tokens, expertCount, used, hidden, size, normalise;
};

// One warp a token: softmax over all experts, the most probable ones.
extern "C" __global__ void __launch_bounds__(256) moeRoute(ARGS MoeArgs p)
{
    waitForPredecessor();
    const int token = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (token >= p.tokens) return;
    float values[MaxExperts / 32], top = NEGATIVE_INFINITY, sum = 0;
#pragma unroll
    for (int i = 0; i < MaxExperts / 32; i++)
    {
        int e = i * 32 + lane;
        values[i] = e < p.expertCount ? __ldcg(p.logits + (i64)token * p.expertCount + e) : NEGATIVE_INFINITY;
        top = fmaxf(top, values[i]);
    }
    top = warpMax(top);
#pragma unroll
    for (int i = 0; i < MaxExperts / 32; i++) sum += values[i] = __expf(values[i] - top);
    sum = warpSum(sum);
    float kept = 0, mine = 0;
    int chosen = 0;
    for (int k = 0; k < p.used; k++)
    {
        float best = -1;
        int id = 0;
#pragma unroll
        for (int i = 0; i < MaxExperts / 32; i++)
            if (values[i] > best) { best = values[i]; id = i * 32 + lane; }
        for (int offset = 16; offset > 0; offset >>= 1)
        {
            float other = __shfl_xor_sync(~0u, best, offset);
            int otherId = __shfl_xor_sync(~0u, id, offset);
            if (other > best || (other == best && otherId < id)) { best = other; id = otherId; }
        }
#pragma unroll
        for (int i = 0; i < MaxExperts / 32; i++)
            if (id == i * 32 + lane) values[i] = -2;
        kept += best;
        if (lane == k) { mine = best; chosen = id; }
    }
    if (lane < p.used)
    {
        p.experts[token * p.used + lane] = chosen;
        p.weights[token * p.used + lane] = mine / (p.normalise ? kept : sum);
    }
}

// One block: pairs by expert, and the tiles (expert, first, count).
extern "C" __global__ void __launch_bounds__(1024) moeSort(ARGS MoeArgs p)
{
    __shared__ int counts[MaxExperts], starts[MaxExperts], firstTiles[MaxExperts];
    waitForPredecessor();
    const int pairs = p.tokens * p.used;
    for (int i = threadIdx.x; i < p.expertCount; i += 1024) counts[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < pairs; i += 1024)
        // An expert of a row that is not a number may be anything.
        atomicAdd(&counts[min((u32)__ldcg(p.experts + i), (u32)p.expertCount - 1)], 1);
    __syncthreads();
    if (threadIdx.x == 0)
    {
        int at = 0, tile = 0;
        for (int e = 0; e < p.expertCount; e++)
        {
            starts[e] = at;
            firstTiles[e] = tile;
            at += counts[e];
            tile += (counts[e] + TilePairs - 1) / TilePairs;
        }
        *p.tileCount = tile;
    }
    __syncthreads();
    for (int e = threadIdx.x; e < p.expertCount; e += 1024)
        for (int i = 0; i < counts[e]; i += TilePairs) p.tiles[firstTiles[e] + i / TilePairs] = make_int4(e, starts[e] + i, min(TilePairs, counts[e] - i), 0);
    __syncthreads();
    for (int i = threadIdx.x; i < pairs; i += 1024) p.sorted[atomicAdd(&starts[min((u32)__ldcg(p.experts + i), (u32)p.expertCount - 1)], 1)] = i;
}

// m[pair] = silu(gate)·up of the pair's token, or y[pair] = down·m[pair].
template <bool GateUp> DEVICE void expertProduct(const MoeArgs& p)
{
    waitForPredecessor();
    if ((int)blockIdx.y >= *(volatile const int*)p.tileCount) return;
    const int4 tile = p.tiles[blockIdx.y];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const int rows = GateUp ? p.size : p.hidden, k = GateUp ? p.hidden : p.size, unit = blockIdx.x * 4 + warp;
    const int r0 = GateUp ? unit * 8 + g : unit * 16 + g, r1 = GateUp ? p.size + unit * 8 + g : r0 + 8;
    if ((GateUp ? unit * 8 : unit * 16) >= rows) return;
    const bool valid0 = r0 < (GateUp ? p.size : rows), valid1 = GateUp ? valid0 : r1 < rows;
    const bf16* w = GateUp ? p.gateUp + (i64)tile.x * 2 * p.size * k : p.down + (i64)tile.x * p.hidden * k;
    const bf16 *first = w + (i64)r0 * k + 8 * t, *second = w + (i64)r1 * k + 8 * t;
    const bf16* x[4];
    bool has[4];
#pragma unroll
    for (int n = 0; n < 4; n++)
    {
        int index = n * 8 + g;
        has[n] = index < tile.z;
        int pair = has[n] ? p.sorted[tile.y + index] : 0;
        x[n] = (GateUp ? p.x + (i64)(pair / p.used) * k : p.m + (i64)pair * k) + 8 * t;
    }
    const int columns = (tile.z + 7) / 8;
    const uint4 zero = make_uint4(0, 0, 0, 0);
    float d[4][4] = {};
#pragma unroll 2
    for (int i = 0; i < k; i += 64)
    {
        uint4 a[2][2];
#pragma unroll
        for (int s = 0; s < 2; s++)
        {
            bool inside = i + s * 32 + 8 * t < k;
            a[s][0] = valid0 && inside ? loadStream(first + i + s * 32) : zero;
            a[s][1] = valid1 && inside ? loadStream(second + i + s * 32) : zero;
        }
#pragma unroll
        for (int n = 0; n < 4; n++)
            if (n < columns)
#pragma unroll
                for (int s = 0; s < 2; s++)
                {
                    uint4 b = has[n] && i + s * 32 + 8 * t < k ? __ldcg((const uint4*)(x[n] + i + s * 32)) : zero;
                    mma(d[n], a[s][0].x, a[s][1].x, a[s][0].y, a[s][1].y, b.x, b.y);
                    mma(d[n], a[s][0].z, a[s][1].z, a[s][0].w, a[s][1].w, b.z, b.w);
                }
    }
#pragma unroll
    for (int n = 0; n < 4; n++)
#pragma unroll
        for (int j = 0; j < 2; j++)
        {
            int index = n * 8 + 2 * t + j;
            if (index >= tile.z) continue;
            i64 pair = p.sorted[tile.y + index];
            if (GateUp) { if (valid0) p.m[pair * p.size + r0] = toBf16(silu(d[n][j]) * d[n][j + 2]); }
            else
            {
                if (valid0) p.y[pair * p.hidden + r0] = toBf16(d[n][j]);
                if (valid1) p.y[pair * p.hidden + r1] = toBf16(d[n][j + 2]);
            }
        }
}

extern "C" __global__ void __launch_bounds__(128) moeGateUp(ARGS MoeArgs p) { expertProduct<true>(p); }
extern "C" __global__ void __launch_bounds__(128) moeDown(ARGS MoeArgs p) { expertProduct<false>(p); }

// One block a token: h += sum of weight · y + sigmoid(gate · x) · shared.
extern "C" __global__ void __launch_bounds__(256) moeCombine(ARGS MoeArgs p)
{
    __shared__ float partial[8];
    waitForPredecessor();
    const i64 token = blockIdx.x;
    float sum = 0;
    for (int i = threadIdx.x; i < p.hidden; i += 256) sum += toFloat(p.x[token * p.hidden + i]) * p.sharedGate[i];
    sum = warpSum(sum);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (int i = 0; i < 8; i++) sum += partial[i];
    const float gate = 1.f / (1.f + __expf(-sum));
    for (int i = threadIdx.x; i < p.hidden; i += 256)
    {
        float value = gate * p.shared[token * p.hidden + i];
        for (int k = 0; k < p.used; k++) value += p.weights[token * p.used + k] * toFloat(p.y[(token * p.used + k) * p.hidden + i]);
        p.h[token * p.hidden + i] += value;
    }
}
