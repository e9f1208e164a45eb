// From logits to one id a row, without a sort of the vocabulary.
//
// sampleChunks: a block takes a share of one row into shared memory, so that logits are read once: statistics of the raw logits, the
// row's own adjustments in the order of SamplingRow, and from the result the share's best id (greedy) or its K most probable ids (top-k up
// to 64). sampleWide: rows with a larger top-k or none: the threshold of top-k and top-p by descent through the bits of the value, with
// counts and fixed-point masses, exact and independent of the order of addition; then a walk over what passes. sampleMerge: combines
// the shares, draws among the K, stores the id in the slot and counts it.
//
// A draw walks the kept ids in ascending order until their mass passes Philox(seed, position), as on every other device.
#include "Common.cuh"

struct SamplingRow
{
    int logitRow, slot, target; float temperature; int topK; float topP, minP, presence, frequency, repetition;
    u64 seed; int position, topLogProbs, biasStart, biasCount, maskRow;
};

struct TokenBias { int token; float bias; };

static const int MaxTop = 20, MaxK = 64, ChunkThreads = 512;

struct ChunkResult { float rawMax, rawSum, best, zMax; int bestId, count, topCount, nan; };

struct SampleArgs
{
    const float* logits; const SamplingRow* rows; const TokenBias* biases; const u32* masks; const u32* vocabulary; u16* counts; int* slotTokens;
    ChunkResult* chunks; float2* candidates; float2* tops; float* scratch; int* wide; int* rawResults;
    int vocabularySize, chunkCount, chunkSize, maskStride, maxRows;
};

enum { Greedy, Top, Wide };

DEVICE int kindOf(const SamplingRow& row, int vocabularySize)
{
    if (row.temperature <= 0) return Greedy;
    bool limited = row.topK > 0 && row.topK < vocabularySize;
    if (limited && row.topK <= MaxK) return Top;
    return Wide;
}

// Unsigned keys in the order of floats.
DEVICE u32 keyOf(float x)
{
    u32 bits = __float_as_uint(x);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// Philox4x32-10 (Salmon et al. 2011): a number in [0, 1) with 53 random bits.
DEVICE double uniform(u64 seed, int position)
{
    u32 k0 = (u32)seed, k1 = (u32)(seed >> 32), c0 = (u32)position, c1 = 0, c2 = 0, c3 = 0;
    for (int round = 0; round < 10; round++)
    {
        u64 a = 0xD2511F53ull * c0, b = 0xCD9E8D57ull * c2;
        c0 = (u32)(b >> 32) ^ c1 ^ k0;
        c1 = (u32)b;
        c2 = (u32)(a >> 32) ^ c3 ^ k1;
        c3 = (u32)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (double)(((u64)c1 << 32 | c0) >> 11) * (1.0 / 9007199254740992.0);
}

// exp(x - top) in fixed point: sums do not depend on their order, and a whole vocabulary fits 64 bits.
DEVICE u64 massOf(float x, float top) { return (u64)(__expf(x - top) * 17592186044416.f); }

DEVICE float adjust(const SamplingRow& row, float x, u16 count)
{
    if (row.repetition != 1 && count) x = x > 0 ? x / row.repetition : x * row.repetition;
    int produced = count & 0x7fff;
    if (produced) x -= row.frequency * produced + row.presence;
    return row.temperature > 0 ? x / row.temperature : x;
}

// The larger value, the lower id of equals.
DEVICE void better(float& value, int& id, float otherValue, int otherId)
{
    if (otherValue > value || (otherValue == value && otherId < id)) { value = otherValue; id = otherId; }
}

template <int Threads> DEVICE void blockBest(float& value, int& id)
{
    __shared__ float values[Threads / 32];
    __shared__ int ids[Threads / 32];
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1)
        better(value, id, __shfl_xor_sync(~0u, value, offset), __shfl_xor_sync(~0u, id, offset));
    __syncthreads();
    if (threadIdx.x % 32 == 0) { values[threadIdx.x / 32] = value; ids[threadIdx.x / 32] = id; }
    __syncthreads();
    value = values[0];
    id = ids[0];
    for (int i = 1; i < Threads / 32; i++) better(value, id, values[i], ids[i]);
}

template <int Threads> DEVICE float blockSum(float value)
{
    __shared__ float values[Threads / 32];
    value = warpSum(value);
    __syncthreads();
    if (threadIdx.x % 32 == 0) values[threadIdx.x / 32] = value;
    __syncthreads();
    value = 0;
    for (int i = 0; i < Threads / 32; i++) value += values[i];
    return value;
}

// The key of the k-th largest finite value of get(0 .. size - 1) and how many of that key are among the k; 0 when there are no more than k.
template <int Threads, class Get> DEVICE u32 findThreshold(int size, int k, Get get, int& equals)
{
    __shared__ u32 histogram[256];
    __shared__ u32 prefixShared;
    __shared__ int wantedShared;
    u32 prefix = 0;
    int wanted = k;
    for (int shift = 24; shift >= 0; shift -= 8)
    {
        __syncthreads();
        for (int i = threadIdx.x; i < 256; i += Threads) histogram[i] = 0;
        __syncthreads();
        for (int i = threadIdx.x; i < size; i += Threads)
        {
            float x = get(i);
            if (!(x > NEGATIVE_INFINITY)) continue;
            u32 key = keyOf(x);
            if (shift < 24 && (key >> (shift + 8)) != (prefix >> (shift + 8))) continue;
            atomicAdd(&histogram[(key >> shift) & 255], 1u);
        }
        __syncthreads();
        if (threadIdx.x < 32)
        {
            // Lane i has bins 255 - 8i .. 248 - 8i: the sums run from the largest down.
            int lane = threadIdx.x, own = 0;
            for (int i = 0; i < 8; i++) own += histogram[255 - lane * 8 - i];
            int before = own;
            for (int offset = 1; offset < 32; offset <<= 1)
            {
                int other = __shfl_up_sync(~0u, before, offset);
                if (lane >= offset) before += other;
            }
            int all = __shfl_sync(~0u, before, 31);
            before -= own;
            if (all < wanted) { if (lane == 0) { prefixShared = 0; wantedShared = -1; } }
            else if (before < wanted && before + own >= wanted)
            {
                int i = 0;
                while (before + (int)histogram[255 - lane * 8 - i] < wanted) before += histogram[255 - lane * 8 - i++];
                prefixShared = prefix | (u32)(255 - lane * 8 - i) << shift;
                wantedShared = wanted - before;
            }
        }
        __syncthreads();
        prefix = prefixShared;
        wanted = wantedShared;
        if (wanted < 0) break;
    }
    equals = wanted;
    return wanted < 0 ? 0 : prefix;
}

static const int ListSize = 1024;

// Writes the k largest finite values of get(0 .. size - 1) with their ids, in no order; the lowest ids of equals. Returns how many.
template <int Threads, class Get> DEVICE int selectTop(int size, int firstId, int k, float2* out, Get get)
{
    __shared__ float2 list[ListSize];
    __shared__ float maxima[Threads];
    __shared__ int found;
    // The k-th largest of the threads' maxima is no larger than the k-th largest value, and few values reach it.
    float mine = NEGATIVE_INFINITY;
    for (int i = threadIdx.x; i < size; i += Threads) mine = fmaxf(mine, get(i));
    maxima[threadIdx.x] = mine;
    int equals;
    u32 least = findThreshold<Threads>(Threads, k, [&](int i) { return maxima[i]; }, equals);
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < size; i += Threads)
    {
        float x = get(i);
        if (!(x > NEGATIVE_INFINITY) || keyOf(x) < least) continue;
        int at = atomicAdd(&found, 1);
        if (at < ListSize) list[at] = make_float2(x, __int_as_float(firstId + i));
    }
    __syncthreads();
    const int count = found;
    __syncthreads();
    if (count <= k)
    {
        for (int i = threadIdx.x; i < count; i += Threads) out[i] = list[i];
        __syncthreads();
        return count;
    }
    if (count <= ListSize)
    {
        u32 threshold = findThreshold<Threads>(count, k, [&](int i) { return list[i].x; }, equals);
        if (threadIdx.x == 0) found = 0;
        __syncthreads();
        for (int i = threadIdx.x; i < count; i += Threads)
        {
            u32 key = keyOf(list[i].x);
            if (key < threshold) continue;
            if (key > threshold) { out[atomicAdd(&found, 1)] = list[i]; continue; }
            int rank = 0;
            for (int j = 0; j < count; j++) rank += list[j].x == list[i].x && __float_as_int(list[j].y) < __float_as_int(list[i].y);
            if (rank < equals) out[k - equals + rank] = list[i];
        }
        __syncthreads();
        return k;
    }
    // Very many equals: the general way.
    u32 threshold = findThreshold<Threads>(size, k, get, equals);
    if (threadIdx.x == 0) found = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < size; i += Threads)
    {
        float x = get(i);
        if (x > NEGATIVE_INFINITY && keyOf(x) > threshold) out[atomicAdd(&found, 1)] = make_float2(x, __int_as_float(firstId + i));
    }
    __syncthreads();
    if (threadIdx.x < 32)
    {
        int at = k - equals, left = equals;
        for (int i = 0; i < size && left > 0; i += 32)
        {
            int own = i + threadIdx.x;
            float x = own < size ? get(own) : NEGATIVE_INFINITY;
            bool equal = x > NEGATIVE_INFINITY && keyOf(x) == threshold;
            u32 votes = __ballot_sync(~0u, equal);
            int rank = __popc(votes & ((1u << threadIdx.x) - 1));
            if (equal && rank < left) out[at + rank] = make_float2(x, __int_as_float(firstId + own));
            int taken = min(left, __popc(votes));
            at += taken;
            left -= taken;
        }
    }
    __syncthreads();
    return k;
}

extern "C" __global__ void __launch_bounds__(ChunkThreads) sampleChunks(ARGS SampleArgs p)
{
    extern __shared__ float z[];
    waitForPredecessor();
    releaseSuccessor();
    const int chunk = blockIdx.x, rowIndex = blockIdx.y, first = chunk * p.chunkSize, size = min(p.chunkSize, p.vocabularySize - first);
    const SamplingRow row = p.rows[rowIndex];
    const float* raw = p.logits + (i64)row.logitRow * p.vocabularySize + first;
    const u16* counts = p.counts + (i64)row.slot * p.vocabularySize + first;
    const bool counted = row.repetition != 1 || row.presence != 0 || row.frequency != 0;
    const u32* mask = row.maskRow >= 0 ? p.masks + (i64)row.maskRow * p.maskStride : 0;
    const int kind = kindOf(row, p.vocabularySize);
    float top = NEGATIVE_INFINITY;
    bool nan = false;
    for (int i = threadIdx.x; i < size; i += ChunkThreads)
    {
        float x = __ldcg(raw + i);
        nan |= x != x;
        top = fmaxf(top, x);
        int id = first + i;
        bool admitted = p.vocabulary[id / 32] >> id % 32 & 1;
        if (mask) admitted &= mask[id / 32] >> id % 32 & 1;
        z[i] = admitted ? adjust(row, x, counted ? counts[i] : 0) : NEGATIVE_INFINITY;
    }
    int ignored = 0;
    blockBest<ChunkThreads>(top, ignored);
    float sum = 0;
    if (row.topLogProbs >= 0)
    {
        float safe = top == NEGATIVE_INFINITY ? 0 : top;
        for (int i = threadIdx.x; i < size; i += ChunkThreads) sum += __expf(__ldcg(raw + i) - safe);
        sum = blockSum<ChunkThreads>(sum);
    }
    nan = __syncthreads_or(nan);
    for (int b = threadIdx.x; b < row.biasCount; b += ChunkThreads)
    {
        int id = p.biases[row.biasStart + b].token, i = id - first;
        if (i < 0 || i >= size || z[i] == NEGATIVE_INFINITY) continue;
        // The first entry of an id adds up all of its entries.
        float bias = 0;
        bool earlier = false;
        for (int other = 0; other < row.biasCount; other++)
            if (p.biases[row.biasStart + other].token == id)
            {
                earlier |= other < b;
                bias += p.biases[row.biasStart + other].bias;
            }
        if (!earlier) z[i] = adjust(row, __ldcg(raw + i) + bias, counted ? counts[i] : 0);
    }
    __syncthreads();

    ChunkResult result = {top, sum, NEGATIVE_INFINITY, NEGATIVE_INFINITY, 0x7fffffff, 0, 0, nan};
    const i64 share = (i64)rowIndex * p.chunkCount + chunk;
    if (row.target < 0 && !nan)
    {
        for (int i = threadIdx.x; i < size; i += ChunkThreads)
        {
            float x = z[i];
            if (x > NEGATIVE_INFINITY) better(result.best, result.bestId, x, first + i);
            if (kind == Wide) p.scratch[(i64)row.slot * p.vocabularySize + first + i] = z[i];
        }
        blockBest<ChunkThreads>(result.best, result.bestId);
        if (kind == Top) result.count = selectTop<ChunkThreads>(size, first, row.topK, p.candidates + share * MaxK, [&](int i) { return z[i]; });
    }
    if (row.topLogProbs > 0 && !nan)
        result.topCount = selectTop<ChunkThreads>(size, first, row.topLogProbs, p.tops + share * MaxTop, [&](int i)
        {
            int id = first + i;
            return p.vocabulary[id / 32] >> id % 32 & 1 ? __ldcg(raw + i) : NEGATIVE_INFINITY;
        });
    if (threadIdx.x == 0) p.chunks[share] = result;
}

// The largest prefix of the order by value whose count or mass stays within a limit, by descent: returns the key of the last admitted value.
template <bool Mass> DEVICE u32 descend(const float* z, int size, float top, u32 floorKey, u64 limit)
{
    __shared__ u64 bins[256];
    __shared__ u32 chosen;
    __shared__ u64 rest;
    u32 prefix = 0;
    for (int shift = 24; shift >= 0; shift -= 8)
    {
        __syncthreads();
        if (threadIdx.x < 256) bins[threadIdx.x] = 0;
        __syncthreads();
        for (int i = threadIdx.x; i < size; i += blockDim.x)
        {
            float x = __ldcg(z + i);
            if (!(x > NEGATIVE_INFINITY)) continue;
            u32 key = keyOf(x);
            if (key < floorKey || (shift < 24 && (key >> (shift + 8)) != (prefix >> (shift + 8)))) continue;
            atomicAdd(&bins[(key >> shift) & 255], Mass ? massOf(x, top) : 1ull);
        }
        __syncthreads();
        if (threadIdx.x == 0)
        {
            u64 before = 0;
            int bin = 255, last = -1;
            for (; bin >= 0; bin--)
            {
                if (!bins[bin]) continue;
                last = bin;
                if (before + bins[bin] >= limit) break;
                before += bins[bin];
            }
            if (bin < 0) { bin = last < 0 ? 0 : last; before = bins[bin] < before ? before - bins[bin] : 0; }
            chosen = prefix | (u32)bin << shift;
            rest = limit > before ? limit - before : 1;
        }
        __syncthreads();
        prefix = chosen;
        limit = rest;
    }
    return prefix;
}

// One block of 1024 a row that needs it.
extern "C" __global__ void __launch_bounds__(1024) sampleWide(ARGS SampleArgs p)
{
    __shared__ u64 masses[32];
    waitForPredecessor();
    releaseSuccessor();
    const SamplingRow row = p.rows[blockIdx.x];
    if (row.target >= 0 || kindOf(row, p.vocabularySize) != Wide) return;
    const float* z = p.scratch + (i64)row.slot * p.vocabularySize;
    float top = NEGATIVE_INFINITY;
    for (int i = 0; i < p.chunkCount; i++)
    {
        const ChunkResult& share = p.chunks[(i64)blockIdx.x * p.chunkCount + i];
        if (share.nan) return;
        top = fmaxf(top, share.best);
    }
    if (!(top > NEGATIVE_INFINITY)) return;
    u32 threshold = 0;
    if (row.minP > 0) threshold = keyOf(top + logf(row.minP));
    if (row.topK > 0 && row.topK < p.vocabularySize) threshold = max(threshold, descend<false>(z, p.vocabularySize, top, threshold, row.topK));
    // Warp w has the w-th of 32 contiguous parts of the vocabulary.
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int part = ((p.vocabularySize + 31) / 32 + 31) & ~31, from = warp * part, to = min(from + part, p.vocabularySize);
    auto measure = [&]()
    {
        u64 mass = 0;
        for (int i = from + lane; i < to; i += 32)
        {
            float x = __ldcg(z + i);
            if (x > NEGATIVE_INFINITY && keyOf(x) >= threshold) mass += massOf(x, top);
        }
        for (int offset = 16; offset > 0; offset >>= 1) mass += __shfl_xor_sync(~0u, mass, offset);
        __syncthreads();
        if (lane == 0) masses[warp] = mass;
        __syncthreads();
        mass = 0;
        for (int i = 0; i < 32; i++) mass += masses[i];
        return mass;
    };
    u64 total = measure();
    if (row.topP < 1)
    {
        threshold = max(threshold, descend<true>(z, p.vocabularySize, top, threshold, max(1ull, (u64)((double)total * row.topP))));
        total = measure();
    }
    const u64 wanted = min((u64)(uniform(row.seed, row.position) * (double)total), total - 1);
    u64 before = 0;
    for (int i = 0; i < warp; i++) before += masses[i];
    if (wanted < before || wanted >= before + masses[warp]) return;
    for (int start = from; start < to; start += 32)
    {
        int i = start + lane;
        float x = i < to ? __ldcg(z + i) : NEGATIVE_INFINITY;
        u64 own = x > NEGATIVE_INFINITY && keyOf(x) >= threshold ? massOf(x, top) : 0, sum = own;
        for (int offset = 1; offset < 32; offset <<= 1)
        {
            u64 other = __shfl_up_sync(~0u, sum, offset);
            if (lane >= offset) sum += other;
        }
        if (own && wanted >= before + sum - own && wanted < before + sum) p.wide[blockIdx.x] = i;
        before += __shfl_sync(~0u, sum, 31);
        if (wanted < before) break;
    }
}

// Sorts count entries, a power of two, by value descending and id ascending.
DEVICE void sortDescending(float2* entries, int count)
{
    for (int size = 2; size <= count; size <<= 1)
        for (int step = size >> 1; step > 0; step >>= 1)
        {
            __syncthreads();
            for (int i = threadIdx.x; i < count; i += blockDim.x)
            {
                int j = i ^ step;
                if (j < i) continue;
                float2 a = entries[i], b = entries[j];
                bool ordered = a.x > b.x || (a.x == b.x && __float_as_int(a.y) < __float_as_int(b.y));
                if (ordered != ((i & size) == 0)) { entries[i] = b; entries[j] = a; }
            }
        }
    __syncthreads();
}

DEVICE int powerOfTwo(int n)
{
    int p = 1;
    while (p < n) p <<= 1;
    return p;
}

// One block of 256 a row. Results: tokens, statuses, log-probs, then [rows, 20] ids and [rows, 20] log-probs, maxRows apart.
extern "C" __global__ void __launch_bounds__(256) sampleMerge(ARGS SampleArgs p)
{
    extern __shared__ float2 entries[];
    __shared__ int offsets[65];
    waitForPredecessor();
    releaseSuccessor();
    const int rowIndex = blockIdx.x, n = p.chunkCount;
    const SamplingRow row = p.rows[rowIndex];
    const ChunkResult* chunks = p.chunks + (i64)rowIndex * n;
    const int kind = kindOf(row, p.vocabularySize);
    float rawMax = NEGATIVE_INFINITY, best = NEGATIVE_INFINITY, sum = 0;
    int bestId = 0x7fffffff;
    bool nan = false;
    for (int i = 0; i < n; i++)
    {
        rawMax = fmaxf(rawMax, chunks[i].rawMax);
        nan |= chunks[i].nan != 0;
        better(best, bestId, chunks[i].best, chunks[i].bestId);
    }
    for (int i = 0; i < n; i++) sum += chunks[i].rawMax > NEGATIVE_INFINITY ? chunks[i].rawSum * __expf(chunks[i].rawMax - rawMax) : 0;
    const float normaliser = rawMax + logf(sum);
    const bool finite = !nan && rawMax > NEGATIVE_INFINITY && rawMax < -NEGATIVE_INFINITY && (row.target >= 0 || best > NEGATIVE_INFINITY);
    int token = bestId;

    auto gather = [&](const float2* source, int width, bool tops)
    {
        if (threadIdx.x == 0)
        {
            int total = 0;
            for (int i = 0; i < n; i++) { offsets[i] = total; total += tops ? chunks[i].topCount : chunks[i].count; }
            offsets[n] = total;
        }
        __syncthreads();
        int total = offsets[n], padded = powerOfTwo(total);
        for (int i = 0; i < n; i++)
            for (int j = threadIdx.x; j < offsets[i + 1] - offsets[i]; j += 256) entries[offsets[i] + j] = source[((i64)rowIndex * n + i) * width + j];
        for (int i = total + threadIdx.x; i < padded; i += 256) entries[i] = make_float2(NEGATIVE_INFINITY, __int_as_float(0x7fffffff));
        sortDescending(entries, padded);
        return total;
    };

    if (row.target >= 0) token = row.target;
    else if (finite && kind == Wide) token = p.wide[rowIndex];
    else if (finite && kind == Top)
    {
        int total = min(gather(p.candidates, MaxK, false), row.topK);
        if (threadIdx.x == 0)
        {
            float top = entries[0].x, mass = 0, kept = 0;
            float least = row.minP > 0 ? top + logf(row.minP) : NEGATIVE_INFINITY;
            int count = 0;
            while (count < total && entries[count].x >= least) mass += __expf(entries[count++].x - top);
            int last = 0;
            for (; last < count; last++)
            {
                kept += __expf(entries[last].x - top);
                if (kept >= row.topP * mass) { last++; break; }
            }
            // Insertion by id, then the walk.
            for (int i = 1; i < last; i++)
            {
                float2 entry = entries[i];
                int j = i;
                for (; j > 0 && __float_as_int(entries[j - 1].y) > __float_as_int(entry.y); j--) entries[j] = entries[j - 1];
                entries[j] = entry;
            }
            float left = (float)uniform(row.seed, row.position) * kept;
            int chosen = 0;
            for (; chosen < last - 1; chosen++)
            {
                left -= __expf(entries[chosen].x - top);
                if (left < 0) break;
            }
            offsets[0] = __float_as_int(entries[chosen].y);
        }
        __syncthreads();
        token = offsets[0];
        __syncthreads();
    }

    int* tokens = p.rawResults;
    int* statuses = tokens + p.maxRows;
    float* logProbs = (float*)(statuses + p.maxRows);
    int* topTokens = (int*)(logProbs + p.maxRows);
    float* topLogProbs = (float*)(topTokens + p.maxRows * MaxTop);
    if (threadIdx.x == 0)
    {
        tokens[rowIndex] = finite ? token : max(row.target, 0);
        statuses[rowIndex] = !finite;
        if (row.topLogProbs >= 0 && finite) logProbs[rowIndex] = p.logits[(i64)row.logitRow * p.vocabularySize + token] - normaliser;
        if (row.target < 0 && finite)
        {
            p.slotTokens[row.slot] = token;
            u16& count = p.counts[(i64)row.slot * p.vocabularySize + token];
            if ((count & 0x7fff) < 0x7fff) count++;
        }
        if (row.target < 0 && !finite) p.slotTokens[row.slot] = 0;
    }
    if (row.topLogProbs > 0 && finite)
    {
        int total = gather(p.tops, MaxTop, true);
        for (int i = threadIdx.x; i < row.topLogProbs; i += 256)
        {
            topTokens[rowIndex * MaxTop + i] = i < total ? __float_as_int(entries[i].y) : 0;
            topLogProbs[rowIndex * MaxTop + i] = i < total ? entries[i].x - normaliser : NEGATIVE_INFINITY;
        }
    }
}

struct CountArgs { u16* counts; const int* tokens; int* slotToken; int prompt, output; };

// One block: the prompt's ids set the upper bit, the output's add one; the slot's last token is the output's.
extern "C" __global__ void countTokens(ARGS CountArgs p)
{
    if (threadIdx.x == 0) *p.slotToken = p.output > 0 ? p.tokens[p.prompt + p.output - 1] : 0;
    for (int i = threadIdx.x; i < p.prompt; i += blockDim.x)
    {
        u32* word = (u32*)((u64)(p.counts + p.tokens[i]) & ~3ull);
        atomicOr(word, (u64)(p.counts + p.tokens[i]) & 2 ? 0x80000000u : 0x8000u);
    }
    for (int i = threadIdx.x; i < p.output; i += blockDim.x)
    {
        u32* word = (u32*)((u64)(p.counts + p.tokens[p.prompt + i]) & ~3ull);
        atomicAdd(word, (u64)(p.counts + p.tokens[p.prompt + i]) & 2 ? 0x10000u : 1u);
    }
}
