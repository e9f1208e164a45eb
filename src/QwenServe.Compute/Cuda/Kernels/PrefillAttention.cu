// Attention of sequences with several new tokens over the paged cache, causal, chunked, with or without a window
// (FlashAttention-2, Dao 2023, arXiv 2307.08691, with a paged gather).
//
// A block takes 128 queries of one head; its four warps have 32 rows each, so that what is read from shared memory serves two
// products. Keys and values come in tiles of 64 through a two-stage cp.async pipeline, 16-byte pieces swizzled by row.
// Compiled for HEAD_DIM 64 or 128.
#include "Common.cuh"

struct PrefillAttentionArgs
{
    const bf16* q; const bf16* keys; const bf16* values; bf16* out; const int2* tiles; const int* starts; const int* contexts;
    const int* tables; const int* tableStride; float scale; int qStride, heads, kvHeads, blockSize, window;
};

static const int Rows = 128, Keys = 64, Pieces = HEAD_DIM / 8;

DEVICE u32 placeOf(int row, int piece) { return row * HEAD_DIM * 2 + ((piece ^ (row & 7)) << 4); }

extern "C" __global__ void __launch_bounds__(128, 2) prefillAttention(ARGS PrefillAttentionArgs p)
{
    extern __shared__ __align__(128) u8 shared[];
    waitForPredecessor();
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const int2 tile = p.tiles[blockIdx.x];
    const int sequence = tile.x, head = blockIdx.y, kvHead = head / (p.heads / p.kvHeads);
    const int start = p.starts[sequence], count = p.starts[sequence + 1] - start, context = p.contexts[sequence];
    const int firstRow = tile.y, rows = min(Rows, count - firstRow);
    const int firstPosition = context - count + firstRow, lastPosition = firstPosition + rows - 1;
    const int* table = p.tables + (i64)sequence * *p.tableStride;
    const i64 headStride = (i64)p.blockSize * HEAD_DIM, blockStride = headStride * p.kvHeads;
    const u32 qs = sharedAddress(shared), ks = qs + Rows * HEAD_DIM * 2, vs = ks + 2 * Keys * HEAD_DIM * 2;

    const bf16* query = p.q + (i64)(start + firstRow) * p.qStride + head * HEAD_DIM;
    for (int i = threadIdx.x; i < Rows * Pieces; i += 128)
    {
        int row = i / Pieces, piece = i % Pieces;
        copyAsync(qs + placeOf(row, piece), query + (i64)(row < rows ? row : 0) * p.qStride + piece * 8, row < rows);
    }
    const int begin = p.window > 0 ? max(0, firstPosition - p.window + 1) / Keys * Keys : 0, end = lastPosition + 1;
    auto load = [&](int stage, int key)
    {
#pragma unroll
        for (int i = 0; i < Keys * Pieces / 128; i++)
        {
            int index = threadIdx.x + i * 128, row = index / Pieces, piece = index % Pieces, at = key + row;
            bool valid = at < end;
            int block = valid ? table[at / p.blockSize] : 0;
            i64 place = block * blockStride + kvHead * headStride + (i64)(valid ? at % p.blockSize : 0) * HEAD_DIM + piece * 8;
            copyAsync(ks + stage * Keys * HEAD_DIM * 2 + placeOf(row, piece), p.keys + place, valid);
            copyAsync(vs + stage * Keys * HEAD_DIM * 2 + placeOf(row, piece), p.values + place, valid);
        }
        commitCopies();
    };
    load(0, begin);

    float o[2][HEAD_DIM / 8][4] = {}, m[2][2], l[2][2] = {};
#pragma unroll
    for (int i = 0; i < 2; i++) m[i][0] = m[i][1] = NEGATIVE_INFINITY;
    const float scale = p.scale * LOG2E;
    int stage = 0;
    for (int key = begin; key < end; key += Keys, stage ^= 1)
    {
        if (key + Keys < end)
        {
            load(stage ^ 1, key + Keys);
            waitForCopies<1>();
        }
        else waitForCopies<0>();
        __syncthreads();
        const u32 kt = ks + stage * Keys * HEAD_DIM * 2, vt = vs + stage * Keys * HEAD_DIM * 2;
        float s[2][Keys / 8][4] = {};
#pragma unroll
        for (int d = 0; d < HEAD_DIM / 16; d++)
        {
            u32 a[2][4];
#pragma unroll
            for (int i = 0; i < 2; i++) loadMatrix4(a[i], qs + placeOf(warp * 32 + i * 16 + lane % 16, d * 2 + lane / 16));
#pragma unroll
            for (int n = 0; n < Keys / 16; n++)
            {
                u32 b[4];
                loadMatrix4(b, kt + placeOf(n * 16 + lane % 8 + (lane / 16) * 8, d * 2 + lane / 8 % 2));
#pragma unroll
                for (int i = 0; i < 2; i++)
                {
                    mma(s[i][n * 2], a[i][0], a[i][1], a[i][2], a[i][3], b[0], b[1]);
                    mma(s[i][n * 2 + 1], a[i][0], a[i][1], a[i][2], a[i][3], b[2], b[3]);
                }
            }
        }
        const bool inside = key + Keys - 1 <= firstPosition && (p.window <= 0 || key > lastPosition - p.window);
#pragma unroll
        for (int i = 0; i < 2; i++)
        {
#pragma unroll
            for (int r = 0; r < 2; r++)
            {
                const int position = firstPosition + warp * 32 + i * 16 + r * 8 + g;
                float top = m[i][r];
#pragma unroll
                for (int n = 0; n < Keys / 8; n++)
#pragma unroll
                    for (int j = 0; j < 2; j++)
                    {
                        float& x = s[i][n][r * 2 + j];
                        int at = key + n * 8 + 2 * t + j;
                        if (!inside && (at > position || (p.window > 0 && at <= position - p.window))) x = NEGATIVE_INFINITY;
                        top = fmaxf(top, x);
                    }
                top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
                top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
                const float safe = top == NEGATIVE_INFINITY ? 0 : top * scale;
                const float shrink = exp2Fast(m[i][r] * scale - safe);
                m[i][r] = top;
                float sum = 0;
#pragma unroll
                for (int n = 0; n < Keys / 8; n++)
#pragma unroll
                    for (int j = 0; j < 2; j++)
                    {
                        float& x = s[i][n][r * 2 + j];
                        x = exp2Fast(x * scale - safe);
                        sum += x;
                    }
                l[i][r] = l[i][r] * shrink + sum;
#pragma unroll
                for (int n = 0; n < HEAD_DIM / 8; n++) { o[i][n][r * 2] *= shrink; o[i][n][r * 2 + 1] *= shrink; }
            }
        }
#pragma unroll
        for (int k = 0; k < Keys / 16; k++)
        {
            u32 a[2][4];
#pragma unroll
            for (int i = 0; i < 2; i++)
            {
                a[i][0] = pack(s[i][k * 2][0], s[i][k * 2][1]);
                a[i][1] = pack(s[i][k * 2][2], s[i][k * 2][3]);
                a[i][2] = pack(s[i][k * 2 + 1][0], s[i][k * 2 + 1][1]);
                a[i][3] = pack(s[i][k * 2 + 1][2], s[i][k * 2 + 1][3]);
            }
#pragma unroll
            for (int n = 0; n < HEAD_DIM / 16; n++)
            {
                u32 b[4];
                loadMatrix4Transposed(b, vt + placeOf(k * 16 + lane % 16, n * 2 + lane / 16));
#pragma unroll
                for (int i = 0; i < 2; i++)
                {
                    mma(o[i][n * 2], a[i][0], a[i][1], a[i][2], a[i][3], b[0], b[1]);
                    mma(o[i][n * 2 + 1], a[i][0], a[i][1], a[i][2], a[i][3], b[2], b[3]);
                }
            }
        }
        __syncthreads();
    }

    releaseSuccessor();
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int r = 0; r < 2; r++)
        {
            float sum = l[i][r];
            sum += __shfl_xor_sync(~0u, sum, 1);
            sum += __shfl_xor_sync(~0u, sum, 2);
            int row = warp * 32 + i * 16 + r * 8 + g;
            if (row >= rows) continue;
            float inverse = 1.f / sum;
            u32* out = (u32*)(p.out + (i64)(start + firstRow + row) * p.heads * HEAD_DIM + head * HEAD_DIM);
#pragma unroll
            for (int n = 0; n < HEAD_DIM / 8; n++) out[n * 4 + t] = pack(o[i][n][r * 2] * inverse, o[i][n][r * 2 + 1] * inverse);
        }
}
