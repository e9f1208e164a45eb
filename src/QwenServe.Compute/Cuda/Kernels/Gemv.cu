// Linear layers of at most eight rows: y = W·x at the speed of reading W once.
//
// Up to sixteen rows of W are a tile (p.tileRows, chosen so that every block gets equally many rows), 512 columns of it a turn; the eight
// warps of a block share a turn's columns. The tensor cores do the arithmetic with W as the 16 x 16 operand and the rows of x as its eight
// columns. The order of summation is free, so a lane takes the eight consecutive elements that it can load at once as its share of two
// products, for W and x alike, and W goes from memory to the operand registers with nothing between. Four turns are in flight at all
// times, also across tiles, and the first ones are asked for before the preceding kernel has ended.
//
// RMSNorm is spread over two kernels: the one that completes h also writes x = h * weight, rounded, and the sum of squares of each
// tile; the one that multiplies x by W sums those and applies 1 / rms to its results.
#include "Common.cuh"

struct GemvArgs
{
    const bf16* w; const float* bias; const bf16* x;
    void* out; float epsilon; int n, k, m, tileRows, squareCount;
    const float* squares; const float* nextWeight; bf16* nextX; float* nextSquares;
    const float2* turns; const int* positions; const int* cacheSlots; bf16* keys; bf16* values;
    int heads, kvHeads, headDim, blockSize;
};

// What becomes of x: it is kept in shared memory, or copied again each turn into a ring, as far ahead as W.
enum { Kept = 0, Streamed = 1 };

enum { Store = 0, Add = 1, Swiglu = 2, RopeStore = 3 };

static const int Depth = 4;

// Elements between rows of the ring, so that a quarter of a warp reads from different banks.
static const int RingStride = 96;

// The row of W at row i of the operand, -1 where there is none. The halves of a tile hold what an end needs together: gate and up, or the two
// elements of a head that turn as a pair.
template <int Epilogue> DEVICE int rowOf(const GemvArgs& p, int tile, int i)
{
    const int half = p.tileRows / 2, j = i % 8, index = tile * half + j;
    if (j >= half) return -1;
    if (Epilogue == Swiglu) return index < p.n ? index + (i < 8 ? 0 : p.n) : -1;
    if (Epilogue == RopeStore)
    {
        const int pairs = p.headDim / 2, head = index / pairs;
        return index < p.n / 2 ? head * p.headDim + index - head * pairs + (i < 8 ? 0 : pairs) : -1;
    }
    const int row = tile * p.tileRows + j + (i < 8 ? 0 : half);
    return row < p.n ? row : -1;
}

template <int Input, int Epilogue> DEVICE void gemv(const GemvArgs& p)
{
    extern __shared__ uint4 dynamicShared[];
    __shared__ float sums[2][8][16][9];
    __shared__ float squares[8];
    bf16* xs = (bf16*)dynamicShared;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const int tiles = Epilogue == Swiglu ? (2 * p.n + p.tileRows - 1) / p.tileRows : (p.n + p.tileRows - 1) / p.tileRows;
    const int turns = (p.k + 511) / 512;
    const int stride = p.k + ((p.k & 63) == 0 ? 32 : 0);
    const int firstTile = (int)((u32)tiles * blockIdx.x / gridDim.x), total = ((int)((u32)tiles * (blockIdx.x + 1) / gridDim.x) - firstTile) * turns;
    const uint4 zero = make_uint4(0, 0, 0, 0);

    uint4 a[Depth][4];
    int loadTile = firstTile, loadTurn = 0, loaded = 0;
    const bf16 *first = 0, *second = 0;
    bool firstValid = false, secondValid = false;

    auto aim = [&]()
    {
        int r0 = rowOf<Epilogue>(p, loadTile, g), r1 = rowOf<Epilogue>(p, loadTile, g + 8);
        firstValid = r0 >= 0;
        secondValid = r1 >= 0;
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
                loadTile++;
                aim();
            }
        }
    };

    aim();
#pragma unroll
    for (int i = 0; i < Depth; i++) load(a[i]);
    releaseSuccessor();
    waitForPredecessor();

    if (Input == Kept)
    {
        const int pieces = p.k / 8;
        for (int row = 0; row < p.m; row++)
            for (int i = threadIdx.x; i < pieces; i += 256) copyAsync(sharedAddress(xs + row * stride + i * 8), p.x + (i64)row * p.k + i * 8, true);
        commitCopies();
    }
    float scale = 1;
    if (p.squares)
    {
        if (warp < p.m)
        {
            float sum = 0;
#pragma unroll 8
            for (int i = lane; i < p.squareCount; i += 32) sum += __ldcg(p.squares + warp * p.squareCount + i);
            sum = warpSum(sum);
            if (lane == 0) squares[warp] = rsqrtf(sum / p.k + p.epsilon);
        }
        if (Input == Streamed) __syncthreads();
    }
    if (Input == Kept)
    {
        waitForCopies<0>();
        __syncthreads();
    }
    if (p.squares)
    {
        const int column = Epilogue == Store || Epilogue == Add ? threadIdx.x / 16 : threadIdx.x / 8;
        if (column < p.m) scale = squares[column];
    }

    bf16* ring = xs + warp * 8 * RingStride;
    int copyTurn = 0, copied = 0;
    auto copyX = [&](int slot)
    {
        if (copied < total)
            for (int i = lane; i < p.m * 8; i += 32)
            {
                const int row = i / 8, k = (copyTurn * 8 + warp) * 64 + i % 8 * 8;
                copyAsync(sharedAddress(ring + slot * 64 * RingStride + row * RingStride + i % 8 * 8), p.x + (i64)row * p.k + k, k < p.k);
            }
        commitCopies();
        copied++;
        if (++copyTurn == turns) copyTurn = 0;
    };
    if (Input == Streamed)
    {
#pragma unroll
        for (int i = 0; i < Depth; i++) copyX(i);
    }

    // What the turn of q and k reads is asked for when the tile begins.
    float2 turned = make_float2(0, 0), bias = make_float2(0, 0);
    int place = -1;
    auto prepare = [&](int next)
    {
        const int row = threadIdx.x % 8, column = threadIdx.x / 8;
        if (Epilogue != RopeStore || column >= p.m) return;
        const int at = rowOf<RopeStore>(p, next, row), half = p.headDim / 2, head = at / p.headDim;
        if (at < 0) return;
        turned = __ldg(p.turns + (i64)__ldg(p.positions + column) * half + at - head * p.headDim);
        place = __ldg(p.cacheSlots + column);
        if (p.bias) bias = make_float2(__ldg(p.bias + at), __ldg(p.bias + at + half));
    };

    float c[4] = {0, 0, 0, 0}, d[4] = {0, 0, 0, 0};
    int tile = firstTile, turn = 0, buffer = 0;
    prepare(tile);
    for (int start = 0; start < total; start += Depth)
    {
#pragma unroll
        for (int slot = 0; slot < Depth; slot++)
        {
            if (start + slot >= total) break;
            uint4 b[2];
            if (Input == Streamed)
            {
                waitForCopies<Depth - 1>();
                __syncwarp();
                const bf16* source = ring + slot * 64 * RingStride + g * RingStride + 8 * t;
                b[0] = g < p.m ? *(const uint4*)source : zero;
                b[1] = g < p.m ? *(const uint4*)(source + 32) : zero;
                __syncwarp();
            }
            else
            {
                const int k = (turn * 8 + warp) * 64 + 8 * t;
                const bf16* source = xs + g * stride + k;
                b[0] = g < p.m && k < p.k ? *(const uint4*)source : zero;
                b[1] = g < p.m && k + 32 < p.k ? *(const uint4*)(source + 32) : zero;
            }
            uint4 (&v)[4] = a[slot];
            mma(c, v[0].x, v[1].x, v[0].y, v[1].y, b[0].x, b[0].y);
            mma(d, v[0].z, v[1].z, v[0].w, v[1].w, b[0].z, b[0].w);
            mma(c, v[2].x, v[3].x, v[2].y, v[3].y, b[1].x, b[1].y);
            mma(d, v[2].z, v[3].z, v[2].w, v[3].w, b[1].z, b[1].w);
            load(a[slot]);
            if (Input == Streamed) copyX(slot);
            if (++turn < turns) continue;

            float (&mine)[16][9] = sums[buffer][warp];
            mine[g][2 * t] = c[0] + d[0];
            mine[g][2 * t + 1] = c[1] + d[1];
            mine[g + 8][2 * t] = c[2] + d[2];
            mine[g + 8][2 * t + 1] = c[3] + d[3];
            __syncthreads();
            constexpr bool Pairs = Epilogue == Swiglu || Epilogue == RopeStore;
            const int row = Pairs ? threadIdx.x % 8 : threadIdx.x % 16, column = Pairs ? threadIdx.x / 8 : threadIdx.x / 16;
            float x = 0, y = 0;
            if (column < p.m)
            {
#pragma unroll
                for (int i = 0; i < 8; i++)
                {
                    x += sums[buffer][i][row][column];
                    if (Pairs) y += sums[buffer][i][row + 8][column];
                }
            }
            const int at = rowOf<Epilogue>(p, tile, row);
            if (!Pairs)
            {
                float value = 0;
                if (column < p.m && at >= 0)
                {
                    value = x * scale;
                    if (p.bias) value += p.bias[at];
                    float* out = (float*)p.out + (i64)column * p.n + at;
                    if (Epilogue == Add) value += __ldcg(out);
                    *out = value;
                }
                if (Epilogue == Add && p.nextX && warp * 2 < p.m)
                {
                    float square = value * value;
#pragma unroll
                    for (int offset = 8; offset > 0; offset >>= 1) square += __shfl_xor_sync(0xffffffffu, square, offset);
                    if (column < p.m)
                    {
                        if (at >= 0) p.nextX[(i64)column * p.n + at] = toBf16(value * __ldg(p.nextWeight + at));
                        if (row == 0) p.nextSquares[column * tiles + tile] = square;
                    }
                }
            }
            if (Pairs && column < p.m && at >= 0)
            {
                x *= scale;
                y *= scale;
                if (Epilogue == Swiglu) ((bf16*)p.out)[(i64)column * p.n + at] = toBf16(silu(x) * y);
                else
                {
                    int half = p.headDim / 2, head = at / p.headDim, i = at - head * p.headDim;
                    x += bias.x;
                    y += bias.y;
                    if (head < p.heads + p.kvHeads) rotate(x, y, turned);
                    if (head < p.heads)
                    {
                        bf16* q = (bf16*)p.out + (i64)column * p.n + at;
                        q[0] = toBf16(x);
                        q[half] = toBf16(y);
                    }
                    else if (place >= 0)
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
            c[0] = c[1] = c[2] = c[3] = d[0] = d[1] = d[2] = d[3] = 0;
            buffer ^= 1;
            turn = 0;
            tile++;
            prepare(tile);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 2) gemvStore(ARGS GemvArgs p) { gemv<Streamed, Store>(p); }
extern "C" __global__ void __launch_bounds__(256, 2) gemvAdd(ARGS GemvArgs p) { gemv<Streamed, Add>(p); }
extern "C" __global__ void __launch_bounds__(256, 2) gemvSwiglu(ARGS GemvArgs p) { gemv<Kept, Swiglu>(p); }
extern "C" __global__ void __launch_bounds__(256, 2) gemvRopeStore(ARGS GemvArgs p) { gemv<Kept, RopeStore>(p); }
