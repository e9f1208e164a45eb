// Prefill attention on Hopper: warpgroup products, bulk copies, specialised warps (FlashAttention-3, Shah et al. 2024, arXiv 2407.08608).
//
// A block takes 128 queries of one head. One warp brings keys and values page by page, in tiles of 128, two stages deep; two
// warpgroups have 64 rows each. A warpgroup asks for the scores of the next tile before it multiplies the present one with V, so the
// tensor cores work while it exponentiates; the two warpgroups cover each other's rest. Compiled for HEAD_DIM 64 or 128.
#include "Common.cuh"

#if HOPPER

struct HopperAttentionArgs
{
    TensorMap keys, values;
    const bf16* q; bf16* out; const int2* tiles; const int* starts; const int* contexts; const int* tables; const int* tableStride;
    i64 layerRow; float scale; int qStride, heads, kvHeads, blockSize, window;
};

static const int Rows = 128, Keys = 128, Halves = HEAD_DIM / 64, TileBytes = Keys * HEAD_DIM * 2, HalfBytes = Keys * 128, Stages = 2;

// V lies [key][head dim]: its columns are the contiguous direction.
DEVICE u64 valueDescriptor(u32 address) { return (u64)((address & 0x3ffff) >> 4) | (u64)(HalfBytes >> 4) << 16 | 64ull << 32 | 1ull << 62; }

DEVICE void scoreProduct(float (&d)[64], u64 a, u64 b, int accumulate)
{
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, p, 1, 1, 0, 0;\n}"
        : REG16(d, 0), REG16(d, 16), REG16(d, 32), REG16(d, 48) : "l"(a), "l"(b), "r"(accumulate));
}

DEVICE void valueProduct(float (&d)[64], const u32* a, u64 b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, "
        "{%64,%65,%66,%67}, %68, 1, 1, 1, 1;"
        : REG16(d, 0), REG16(d, 16), REG16(d, 32), REG16(d, 48) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

DEVICE void valueProduct(float (&d)[32], const u32* a, u64 b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
        "{%32,%33,%34,%35}, %36, 1, 1, 1, 1;"
        : REG16(d, 0), REG16(d, 16) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

extern "C" __global__ void __launch_bounds__(384, 1) hopperPrefillAttention(ARGS HopperAttentionArgs p)
{
    extern __shared__ __align__(1024) u8 dynamicShared[];
    __shared__ __align__(8) u64 barriers[4 * Stages];
    const u32 base = (sharedAddress(dynamicShared) + 1023) & ~1023u;
    const u32 qs = base, ks = qs + Rows * HEAD_DIM * 2, vs = ks + Stages * TileBytes;
    const u32 keysFull = sharedAddress(barriers), valuesFull = keysFull + 8 * Stages, keysEmpty = valuesFull + 8 * Stages, valuesEmpty = keysEmpty + 8 * Stages;
    const int group = threadIdx.x / 128, thread = threadIdx.x % 128, lane = threadIdx.x % 32;
    if (threadIdx.x == 0)
    {
        for (int i = 0; i < Stages; i++)
        {
            initBarrier(keysFull + 8 * i, 1);
            initBarrier(valuesFull + 8 * i, 1);
            initBarrier(keysEmpty + 8 * i, 2);
            initBarrier(valuesEmpty + 8 * i, 2);
        }
        fenceBarrierInit();
    }
    waitForPredecessor();
    __syncthreads();

    const int2 tile = p.tiles[blockIdx.y];
    const int sequence = tile.x, head = blockIdx.x, kvHead = head / (p.heads / p.kvHeads);
    const int start = p.starts[sequence], count = p.starts[sequence + 1] - start, context = p.contexts[sequence];
    const int firstRow = tile.y, rows = min(Rows, count - firstRow);
    const int firstPosition = context - count + firstRow, lastPosition = firstPosition + rows - 1;
    const int begin = p.window > 0 ? max(0, firstPosition - p.window + 1) / Keys * Keys : 0, end = lastPosition + 1;
    const int tiles = (end - begin + Keys - 1) / Keys;

    if (group == 0)
    {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
        if (thread >= 32) return;
        const int* table = p.tables + (i64)sequence * *p.tableStride;
        // A lane brings one half of one page of keys or values.
        const int pageRows = min(p.blockSize, Keys), pages = Keys / pageRows, page = lane / (2 * Halves), half = lane / 2 % Halves, isValue = lane % 2;
        const bool works = page < pages;
        const TensorMap* map = isValue ? &p.values : &p.keys;
        const u32 to = (isValue ? vs : ks) + half * HalfBytes + page * pageRows * 128, full = isValue ? valuesFull : keysFull;
        asm volatile("fence.proxy.async;" ::: "memory");
        const int lastPage = (context - 1) / p.blockSize;
        for (int i = 0; i < tiles; i++)
        {
            // The diagonal comes first: later tiles need no mask.
            const int key = begin + (tiles - 1 - i) * Keys + page * pageRows, stage = i % Stages;
            const u32 phase = (i / Stages & 1) ^ 1;
            i64 row = 0;
            if (works)
            {
                int block = table[min(key / p.blockSize, lastPage)];
                row = p.layerRow + ((i64)block * p.kvHeads + kvHead) * p.blockSize + key % p.blockSize;
            }
            waitBarrier(keysEmpty + 8 * stage, phase);
            if (lane == 0) expectBytes(keysFull + 8 * stage, TileBytes);
            __syncwarp();
            if (works && !isValue) bulkLoad2(to + stage * TileBytes, map, full + 8 * stage, half * 64, (int)row, EvictLast);
            waitBarrier(valuesEmpty + 8 * stage, phase);
            if (lane == 0) expectBytes(valuesFull + 8 * stage, TileBytes);
            __syncwarp();
            if (works && isValue) bulkLoad2(to + stage * TileBytes, map, full + 8 * stage, half * 64, (int)row, EvictLast);
        }
        return;
    }

    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    const int consumer = group - 1;
    const u32 myQ = qs + consumer * 64 * HEAD_DIM * 2;
    const bf16* query = p.q + (i64)(start + firstRow + consumer * 64) * p.qStride + head * HEAD_DIM;
    for (int i = thread; i < 64 * HEAD_DIM / 8; i += 128)
    {
        int row = i / (HEAD_DIM / 8), piece = i % (HEAD_DIM / 8);
        uint4 v = make_uint4(0, 0, 0, 0);
        if (consumer * 64 + row < rows) v = __ldcg((const uint4*)(query + (i64)row * p.qStride + piece * 8));
        u32 at = myQ + piece / 8 * 64 * 128 + row * 128 + ((piece % 8 ^ (row & 7)) << 4);
        asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" :: "r"(at), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    asm volatile("bar.sync %0, 128;" :: "r"(1 + consumer) : "memory");

    float o[HEAD_DIM / 2], s[64], m[2] = {NEGATIVE_INFINITY, NEGATIVE_INFINITY}, l[2] = {0, 0};
    u32 weights[32];
#pragma unroll
    for (int i = 0; i < HEAD_DIM / 2; i++) o[i] = 0;
    const float scale = p.scale * LOG2E;
    const int position0 = firstPosition + consumer * 64 + (thread / 32) * 16 + lane / 4, column = 2 * (lane % 4);

    auto askScores = [&](int i)
    {
        const int stage = i % Stages;
        waitBarrier(keysFull + 8 * stage, i / Stages & 1);
        beginProducts();
#pragma unroll
        for (int d = 0; d < HEAD_DIM / 16; d++)
            scoreProduct(s, tileDescriptor(myQ + d / 4 * 64 * 128) + d % 4 * 2, tileDescriptor(ks + stage * TileBytes + d / 4 * HalfBytes) + d % 4 * 2, d);
        commitProducts();
    };
    auto askValues = [&](int i)
    {
        const int stage = i % Stages;
        beginProducts();
#pragma unroll
        for (int k = 0; k < Keys / 16; k++) valueProduct(o, weights + 4 * k, valueDescriptor(vs + stage * TileBytes) + k * 128);
        commitProducts();
    };
    // Keys past the end may hold anything, also what is not a number; zero weights alone would not keep that out.
    auto waitValues = [&](int i)
    {
        const int stage = i % Stages, key = begin + (tiles - 1 - i) * Keys;
        waitBarrier(valuesFull + 8 * stage, i / Stages & 1);
        if (key + Keys <= end) return;
        const int valid = end - key;
        for (int j = threadIdx.x - 128; j < (Keys - valid) * 8 * Halves; j += 256)
        {
            u32 at = vs + stage * TileBytes + j % Halves * HalfBytes + (valid + j / (8 * Halves)) * 128 + j / Halves % 8 * 16;
            asm volatile("st.shared.v4.u32 [%0], {%1, %1, %1, %1};" :: "r"(at), "r"(0) : "memory");
        }
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        asm volatile("bar.sync 3, 256;" ::: "memory");
    };
    // Scores to weights; returns what the sums so far shrink by.
    auto softmax = [&](int i, float (&shrink)[2])
    {
        const int key = begin + (tiles - 1 - i) * Keys;
        const bool inside = key + Keys - 1 <= firstPosition + consumer * 64 && (p.window <= 0 || key > lastPosition - p.window);
        if (!inside)
        {
#pragma unroll
            for (int j = 0; j < 64; j++)
            {
                int at = key + j / 4 * 8 + column + j % 2, position = position0 + (j & 2) * 4;
                if (at > position || at >= end || (p.window > 0 && at <= position - p.window)) s[j] = NEGATIVE_INFINITY;
            }
        }
#pragma unroll
        for (int r = 0; r < 2; r++)
        {
            float top = m[r];
#pragma unroll
            for (int j = 0; j < 16; j++) top = fmaxf(top, fmaxf(s[j * 4 + r * 2], s[j * 4 + r * 2 + 1]));
            top = fmaxf(top, __shfl_xor_sync(~0u, top, 1));
            top = fmaxf(top, __shfl_xor_sync(~0u, top, 2));
            const float safe = top == NEGATIVE_INFINITY ? 0 : top * scale;
            shrink[r] = exp2Fast(m[r] * scale - safe);
            m[r] = top;
            float sum = 0;
#pragma unroll
            for (int j = 0; j < 16; j++)
            {
                float& x = s[j * 4 + r * 2];
                float& y = s[j * 4 + r * 2 + 1];
                x = exp2Fast(x * scale - safe);
                y = exp2Fast(y * scale - safe);
                sum += x + y;
            }
            l[r] = l[r] * shrink[r] + sum;
        }
    };
    auto packWeights = [&]()
    {
#pragma unroll
        for (int j = 0; j < 32; j++) weights[j] = pack(s[2 * j], s[2 * j + 1]);
    };
    auto release = [&](u32 barrier)
    {
        if (thread == 0) arrive(barrier);
    };

    float shrink[2];
    askScores(0);
    waitForProducts<0>();
    fenceRegisters(s);
    release(keysEmpty);
    softmax(0, shrink);
    packWeights();
    for (int i = 1; i < tiles; i++)
    {
        askScores(i);
        waitValues(i - 1);
        askValues(i - 1);
        waitForProducts<1>();
        fenceRegisters(s);
        release(keysEmpty + 8 * (i % Stages));
        softmax(i, shrink);
        waitForProducts<0>();
        fenceRegisters(o);
        release(valuesEmpty + 8 * ((i - 1) % Stages));
#pragma unroll
        for (int j = 0; j < HEAD_DIM / 2; j++) o[j] *= shrink[j >> 1 & 1];
        packWeights();
    }
    waitValues(tiles - 1);
    askValues(tiles - 1);
    waitForProducts<0>();
    fenceRegisters(o);
    releaseSuccessor();

#pragma unroll
    for (int r = 0; r < 2; r++)
    {
        float sum = l[r];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        const int row = consumer * 64 + (thread / 32) * 16 + lane / 4 + r * 8;
        if (row >= rows) continue;
        const float inverse = 1.f / sum;
        u32* out = (u32*)(p.out + (i64)(start + firstRow + row) * p.heads * HEAD_DIM + head * HEAD_DIM) + column / 2;
#pragma unroll
        for (int j = 0; j < HEAD_DIM / 8; j++) out[j * 4] = pack(o[j * 4 + r * 2] * inverse, o[j * 4 + r * 2 + 1] * inverse);
    }
}

#endif
