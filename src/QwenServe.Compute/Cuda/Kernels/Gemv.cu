// Linear layers of at most eight rows: y = W·x at the speed of reading W once.
//
// A block of eight warps takes sixteen rows of W at a time; the warps share the columns in turns of 64. The tensor cores do the
// arithmetic with W as the 16 x 16 operand and the rows of x as its eight columns. The order of summation is free, so a lane
// takes the eight consecutive elements that it can load at once as its share of two products, for W and x alike, and W goes from
// memory to the operand registers with nothing between. Four turns are in flight at all times, also across tiles, and the first
// ones are asked for before the preceding kernel has ended.
#include "Common.cuh"

struct GemvArgs
{
    const bf16* w; const float* bias; const bf16* x; const float* h; const float* normWeight; const int* rows;
    void* out; float epsilon; int n, k, m;
    const float2* turns; const int* positions; const int* cacheSlots; bf16* keys; bf16* values;
    int heads, kvHeads, headDim, blockSize;
};

enum { Store = 0, Add = 1, Swiglu = 2, RopeStore = 3 };

static const int Depth = 4;

template <int Epilogue> DEVICE int rowOf(const GemvArgs& p, int tile, int i)
{
    if (Epilogue == Swiglu) return (i < 8 ? 0 : p.n) + tile * 8 + i % 8;
    if (Epilogue == RopeStore)
    {
        int perHead = p.headDim / 16, head = tile / perHead;
        return head * p.headDim + (tile - head * perHead) * 8 + i % 8 + (i < 8 ? 0 : p.headDim / 2);
    }
    return tile * 16 + i;
}

template <bool Norm, int Epilogue> DEVICE void gemv(const GemvArgs& p)
{
    extern __shared__ uint4 dynamicShared[];
    __shared__ float sums[2][8][16][9];
    __shared__ float squares[8];
    bf16* xs = (bf16*)dynamicShared;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const int tiles = Epilogue == Swiglu ? p.n / 8 : (p.n + 15) / 16;
    const int turns = (p.k + 511) / 512;
    const int stride = p.k + ((p.k & 63) == 0 ? 32 : 0);
    const int myTiles = (int)blockIdx.x < tiles ? (tiles - blockIdx.x + gridDim.x - 1) / gridDim.x : 0;
    const int total = myTiles * turns;
    const uint4 zero = make_uint4(0, 0, 0, 0);

    uint4 a[Depth][4];
    int loadTile = blockIdx.x, loadTurn = 0, loaded = 0;
    const bf16 *first = 0, *second = 0;
    bool firstValid = false, secondValid = false;

    auto aim = [&]()
    {
        int r0 = rowOf<Epilogue>(p, loadTile, g), r1 = rowOf<Epilogue>(p, loadTile, g + 8);
        int limit = Epilogue == Swiglu ? 2 * p.n : p.n;
        firstValid = r0 < limit;
        secondValid = r1 < limit;
        first = p.w + (i64)r0 * p.k + 8 * t;
        second = p.w + (i64)r1 * p.k + 8 * t;
    };
    auto load = [&](uint4 (&to)[4])
    {
        if (loaded < total)
        {
            int k = (loadTurn * 8 + warp) * 64;
            bool near = k + 8 * t < p.k, far = k + 32 + 8 * t < p.k;
            to[0] = firstValid && near ? loadStream(first + k) : zero;
            to[1] = secondValid && near ? loadStream(second + k) : zero;
            to[2] = firstValid && far ? loadStream(first + k + 32) : zero;
            to[3] = secondValid && far ? loadStream(second + k + 32) : zero;
            loaded++;
            if (++loadTurn == turns)
            {
                loadTurn = 0;
                loadTile += gridDim.x;
                aim();
            }
        }
    };

    aim();
#pragma unroll
    for (int i = 0; i < Depth; i++) load(a[i]);
    releaseSuccessor();
    waitForPredecessor();

    const int warpsARow = p.m <= 1 ? 8 : p.m <= 2 ? 4 : p.m <= 4 ? 2 : 1;
    float scale = 1;
    if (Norm)
    {
        // Each row of x is prepared by as many warps as there are to spare. What divides a whole row is applied to its results.
        int place = (warp % warpsARow) * 32 + lane, row = warp / warpsARow;
        if (row < p.m)
        {
            const float4* h = (const float4*)(p.h + (i64)(p.rows ? p.rows[row] : row) * p.k);
            float sum = 0;
#pragma unroll 4
            for (int i = place; i < p.k / 4; i += warpsARow * 32)
            {
                float4 v = __ldcg(h + i), w = ((const float4*)p.normWeight)[i];
                sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
                *(uint2*)(xs + row * stride + i * 4) = make_uint2(pack(v.x * w.x, v.y * w.y), pack(v.z * w.z, v.w * w.w));
            }
            sum = warpSum(sum);
            if (lane == 0) squares[warp] = sum;
        }
        __syncthreads();
        const int column = Epilogue == Store || Epilogue == Add ? threadIdx.x / 16 : threadIdx.x / 8;
        if (column < p.m)
        {
            float sum = 0;
            for (int i = 0; i < warpsARow; i++) sum += squares[column * warpsARow + i];
            scale = rsqrtf(sum / p.k + p.epsilon);
        }
    }

    // x of the turn after the one at work, when it comes from memory.
    uint4 ahead[2] = {zero, zero};
    int aheadTurn = 0;
    auto loadX = [&](int turn, uint4 (&to)[2])
    {
        int k = (turn * 8 + warp) * 64 + 8 * t;
        const bf16* source = Norm ? xs + g * stride + k : p.x + (i64)g * p.k + k;
        to[0] = g < p.m && k < p.k ? (Norm ? *(const uint4*)source : __ldcg((const uint4*)source)) : zero;
        to[1] = g < p.m && k + 32 < p.k ? (Norm ? *(const uint4*)(source + 32) : __ldcg((const uint4*)(source + 32))) : zero;
    };
    if (!Norm && total > 0) loadX(0, ahead);

    // What the end of a tile reads is asked for when the tile begins.
    float2 turned = make_float2(0, 0), bias = make_float2(0, 0);
    int place = -1;
    auto prepare = [&](int next)
    {
        const int row = threadIdx.x % 8, column = threadIdx.x / 8;
        if (Epilogue != RopeStore || column >= p.m || next >= tiles) return;
        const int at = rowOf<RopeStore>(p, next, row), half = p.headDim / 2, head = at / p.headDim;
        turned = __ldg(p.turns + (i64)__ldg(p.positions + column) * half + at - head * p.headDim);
        place = __ldg(p.cacheSlots + column);
        if (p.bias) bias = make_float2(__ldg(p.bias + at), __ldg(p.bias + at + half));
    };
    prepare(blockIdx.x);

    float c[4] = {0, 0, 0, 0}, d[4] = {0, 0, 0, 0};
    int tile = blockIdx.x, turn = 0, buffer = 0;
    for (int start = 0; start < total; start += Depth)
    {
#pragma unroll
        for (int slot = 0; slot < Depth; slot++)
        {
            if (start + slot >= total) break;
            uint4 b[2];
            if (Norm) loadX(turn, b);
            else
            {
                b[0] = ahead[0];
                b[1] = ahead[1];
                aheadTurn = aheadTurn + 1 == turns ? 0 : aheadTurn + 1;
                loadX(aheadTurn, ahead);
            }
            uint4 (&v)[4] = a[slot];
            mma(c, v[0].x, v[1].x, v[0].y, v[1].y, b[0].x, b[0].y);
            mma(d, v[0].z, v[1].z, v[0].w, v[1].w, b[0].z, b[0].w);
            mma(c, v[2].x, v[3].x, v[2].y, v[3].y, b[1].x, b[1].y);
            mma(d, v[2].z, v[3].z, v[2].w, v[3].w, b[1].z, b[1].w);
            load(a[slot]);
            if (++turn < turns) continue;

            float (&mine)[16][9] = sums[buffer][warp];
            mine[g][2 * t] = c[0] + d[0];
            mine[g][2 * t + 1] = c[1] + d[1];
            mine[g + 8][2 * t] = c[2] + d[2];
            mine[g + 8][2 * t + 1] = c[3] + d[3];
            __syncthreads();
            if (Epilogue == Store || Epilogue == Add)
            {
                int row = threadIdx.x % 16, column = threadIdx.x / 16;
                if (column < p.m && tile * 16 + row < p.n)
                {
                    float sum = 0;
#pragma unroll
                    for (int i = 0; i < 8; i++) sum += sums[buffer][i][row][column];
                    if (Norm) sum *= scale;
                    if (p.bias) sum += p.bias[tile * 16 + row];
                    float* out = (float*)p.out + (i64)column * p.n + tile * 16 + row;
                    *out = Epilogue == Add ? __ldcg(out) + sum : sum;
                }
            }
            else
            {
                int row = threadIdx.x % 8, column = threadIdx.x / 8;
                if (column < p.m)
                {
                    float x = 0, y = 0;
#pragma unroll
                    for (int i = 0; i < 8; i++) { x += sums[buffer][i][row][column]; y += sums[buffer][i][row + 8][column]; }
                    if (Norm) { x *= scale; y *= scale; }
                    if (Epilogue == Swiglu) ((bf16*)p.out)[(i64)column * p.n + tile * 8 + row] = toBf16(silu(x) * y);
                    else
                    {
                        int at = rowOf<RopeStore>(p, tile, row), half = p.headDim / 2, head = at / p.headDim, i = at - head * p.headDim;
                        x += bias.x;
                        y += bias.y;
                        if (head < p.heads + p.kvHeads) rotate(x, y, turned);
                        if (head < p.heads)
                        {
                            bf16* q = (bf16*)p.out + (i64)column * p.n + at;
                            q[0] = toBf16(x);
                            q[half] = toBf16(y);
                        }
                        else
                        {
                            if (place >= 0)
                            {
                                bool isKey = head < p.heads + p.kvHeads;
                                int kvHead = head - p.heads - (isKey ? 0 : p.kvHeads);
                                bf16* to = (isKey ? p.keys : p.values)
                                    + (((i64)(place / p.blockSize) * p.kvHeads + kvHead) * p.blockSize + place % p.blockSize) * p.headDim + i;
                                to[0] = toBf16(x);
                                to[half] = toBf16(y);
                            }
                        }
                    }
                }
            }
            c[0] = c[1] = c[2] = c[3] = d[0] = d[1] = d[2] = d[3] = 0;
            buffer ^= 1;
            turn = 0;
            tile += gridDim.x;
            prepare(tile);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 2) gemvStore(ARGS GemvArgs p) { gemv<false, Store>(p); }
extern "C" __global__ void __launch_bounds__(256, 2) gemvAdd(ARGS GemvArgs p) { gemv<false, Add>(p); }
extern "C" __global__ void __launch_bounds__(256, 2) gemvNormStore(ARGS GemvArgs p) { gemv<true, Store>(p); }
extern "C" __global__ void __launch_bounds__(256, 2) gemvNormSwiglu(ARGS GemvArgs p) { gemv<true, Swiglu>(p); }
extern "C" __global__ void __launch_bounds__(256, 2) gemvNormRopeStore(ARGS GemvArgs p) { gemv<true, RopeStore>(p); }
