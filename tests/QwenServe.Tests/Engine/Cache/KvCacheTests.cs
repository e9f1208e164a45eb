using QwenServe.Engine.Cache;

namespace QwenServe.Tests.Engine.Cache;

public class KvCacheTests
{
    private const int BlockSize = 4;

    [Fact]
    public void Finds_the_longest_cached_prefix()
    {
        var cache = new KvCache(10, BlockSize, true);
        Release(cache, Hold(cache, Tokens(12)));
        int[] other = [.. Tokens(8), 90, 91, 92, 93, 94];
        Assert.Equal(2, cache.Match(Keys(other), other, out int free));
        Assert.Equal(2, free);
        Assert.Equal(3, cache.Match(Keys(Tokens(13)), Tokens(13), out _));
    }

    [Fact]
    public void Never_matches_the_last_token()
    {
        var cache = new KvCache(10, BlockSize, true);
        Release(cache, Hold(cache, Tokens(12)));
        Assert.Equal(2, cache.Match(Keys(Tokens(12)), Tokens(12), out _));
    }

    [Fact]
    public void Evicts_the_oldest_unused_prefix_first()
    {
        var cache = new KvCache(4, BlockSize, true);
        int[][] prefixes = [Tokens(5, 1), Tokens(5, 2), Tokens(5, 3)];
        foreach (int[] tokens in prefixes) Release(cache, Hold(cache, tokens));
        // The first is used again, so the second is now the oldest.
        var again = Hold(cache, prefixes[0]);
        Release(cache, again);
        var table = new BlockTable(4);
        Assert.True(cache.TryReserve(table, 0, 2 * BlockSize, out _));
        Assert.Equal(1, cache.Match(Keys(prefixes[0]), prefixes[0], out _));
        Assert.Equal(0, cache.Match(Keys(prefixes[1]), prefixes[1], out _));
        Assert.Equal(1, cache.Match(Keys(prefixes[2]), prefixes[2], out _));
        Assert.Equal(1, cache.Evictions);
    }

    [Fact]
    public void Evicts_the_end_of_a_prefix_before_its_start()
    {
        var cache = new KvCache(3, BlockSize, true);
        Release(cache, Hold(cache, Tokens(12)));
        Assert.True(cache.TryReserve(new BlockTable(4), 0, BlockSize, out _));
        Assert.Equal(2, cache.Match(Keys(Tokens(13)), Tokens(13), out _));
    }

    [Fact]
    public void Takes_blocks_that_hold_nothing_before_cached_ones()
    {
        var cache = new KvCache(5, BlockSize, true);
        Release(cache, Hold(cache, Tokens(8)));
        Assert.True(cache.TryReserve(new BlockTable(4), 0, 3 * BlockSize, out _));
        Assert.Equal(0, cache.Evictions);
    }

    [Fact]
    public void A_prefix_in_use_is_not_evicted()
    {
        var cache = new KvCache(3, BlockSize, true);
        Hold(cache, Tokens(8));
        var table = new BlockTable(4);
        Assert.False(cache.TryReserve(table, 0, 2 * BlockSize, out _));
        Assert.Equal(0, table.Count);
        Assert.Equal(1, cache.FreeBlocks);
        Assert.True(cache.TryReserve(table, 0, BlockSize, out _));
    }

    [Fact]
    public void Tenants_with_different_salts_share_nothing()
    {
        var cache = new KvCache(10, BlockSize, true);
        Release(cache, Hold(cache, Tokens(12), "one"));
        Assert.Equal(3, cache.Match(Keys(Tokens(13), "one"), Tokens(13), out _));
        Assert.Equal(0, cache.Match(Keys(Tokens(13), "two"), Tokens(13), out _));
        Assert.Equal(0, cache.Match(Keys(Tokens(13)), Tokens(13), out _));
        Assert.NotEqual(PrefixKey.Root(null), PrefixKey.Root(""));
    }

    [Fact]
    public void A_block_is_found_only_behind_its_own_prefix()
    {
        var cache = new KvCache(10, BlockSize, true);
        Release(cache, Hold(cache, [1, 2, 3, 4, 5, 6, 7, 8, 9]));
        int[] sameEnd = [9, 9, 9, 9, 5, 6, 7, 8, 9];
        Assert.Equal(0, cache.Match(Keys(sameEnd), sameEnd, out _));
        Release(cache, Hold(cache, [9, 9, 9, 9, 0]));
        Assert.Equal(1, cache.Match(Keys(sameEnd), sameEnd, out _));
    }

    [Fact]
    public void Equal_keys_with_other_tokens_do_not_match()
    {
        var index = new PrefixIndex(4, BlockSize);
        Assert.True(index.TryAdd(new PrefixKey(1, 1), [1, 2, 3, 4], 0));
        Assert.Equal(-1, index.Find(new PrefixKey(1, 1), [1, 2, 3, 5]));
        Assert.Equal(0, index.Find(new PrefixKey(1, 1), [1, 2, 3, 4]));
    }

    [Fact]
    public void The_second_block_of_the_same_prefix_stays_unfindable()
    {
        var cache = new KvCache(10, BlockSize, true);
        var first = Hold(cache, Tokens(5));
        var second = new BlockTable(4);
        Assert.True(cache.TryReserve(second, 0, 5, out _));
        cache.Register(Keys(Tokens(5))[0], Tokens(4), second[0]);
        Release(cache, first);
        Release(cache, second);
        Assert.Equal(1, cache.Match(Keys(Tokens(5)), Tokens(5), out _));
        var adopted = new BlockTable(4);
        cache.Adopt(adopted, 1);
        Assert.Equal(1, adopted.Count);
        Check(cache, adopted);
    }

    [Fact]
    public void Writing_a_shared_block_copies_it_and_the_last_user_writes_in_place()
    {
        var cache = new KvCache(10, BlockSize, true);
        var first = new BlockTable(4);
        Assert.True(cache.TryReserve(first, 0, 6, out _));
        var second = new BlockTable(4);
        cache.Share(first, second);
        int shared = first[1];

        Assert.True(cache.TryReserve(first, 6, 1, out var copy));
        Assert.Equal((shared, first[1]), copy);
        Assert.NotEqual(shared, first[1]);
        Assert.True(cache.TryReserve(second, 6, 1, out copy));
        Assert.Equal((-1, -1), copy);
        Assert.Equal(shared, second[1]);
        Assert.Equal(first[0], second[0]);
        Check(cache, first, second);
    }

    [Fact]
    public void A_full_shared_block_is_not_copied()
    {
        var cache = new KvCache(10, BlockSize, true);
        var first = new BlockTable(4);
        Assert.True(cache.TryReserve(first, 0, 8, out _));
        var second = new BlockTable(4);
        cache.Share(first, second);
        Assert.True(cache.TryReserve(first, 8, 1, out var copy));
        Assert.Equal((-1, -1), copy);
        Assert.Equal(second[1], first[1]);
    }

    [Fact]
    public void Without_prefix_caching_nothing_is_kept()
    {
        var cache = new KvCache(4, BlockSize, false);
        var table = new BlockTable(4);
        Assert.True(cache.TryReserve(table, 0, 8, out _));
        cache.Register(Keys(Tokens(8))[0], Tokens(4), table[0]);
        Release(cache, table);
        Assert.Equal(0, cache.Match(Keys(Tokens(9)), Tokens(9), out _));
    }

    [Fact]
    public void The_check_tells_of_a_block_that_nobody_gave_back()
    {
        var cache = new KvCache(4, BlockSize, true);
        Assert.True(cache.TryReserve(new BlockTable(4), 0, 1, out _));
        var error = Assert.Throws<InvalidOperationException>(() => Check(cache));
        Assert.Contains("1 references but 0 users", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_index_keeps_up_with_random_use()
    {
        var random = new Random(5);
        var cache = new KvCache(60, BlockSize, true);
        var held = new List<BlockTable>();
        for (int i = 0; i < 5000; i++)
        {
            if (held.Count > 0 && (random.Next(2) == 0 || cache.FreeBlocks < 10))
            {
                int at = random.Next(held.Count);
                Release(cache, held[at]);
                held.RemoveAt(at);
            }
            else held.Add(Hold(cache, Tokens(random.Next(1, 30), random.Next(8))));
            if (i % 100 == 0) Check(cache, [.. held]);
        }
        Assert.True(cache.Evictions > 0);
    }

    private static int[] Tokens(int count, int seed = 1) => [.. Enumerable.Range(0, count).Select(i => 100 * seed + i)];

    private static PrefixKey[] Keys(int[] tokens, string? salt = null)
    {
        var keys = new PrefixKey[tokens.Length / BlockSize];
        var key = PrefixKey.Root(salt);
        for (int i = 0; i < keys.Length; i++) keys[i] = key = key.Next(tokens.AsSpan(i * BlockSize, BlockSize));
        return keys;
    }

    /// <summary>What a sequence does with these tokens: takes the cached prefix, computes the rest, registers its full blocks.</summary>
    private static BlockTable Hold(KvCache cache, int[] tokens, string? salt = null)
    {
        var table = new BlockTable(4);
        var keys = Keys(tokens, salt);
        cache.Adopt(table, cache.Match(keys, tokens, out _));
        int start = table.Count * BlockSize;
        Assert.True(cache.TryReserve(table, start, tokens.Length - start, out _));
        for (int i = 0; i < keys.Length; i++) cache.Register(keys[i], tokens.AsSpan(i * BlockSize, BlockSize), table[i]);
        return table;
    }

    private static void Release(KvCache cache, BlockTable table) => cache.Release(table);

    private static void Check(KvCache cache, params BlockTable[] tables)
    {
        cache.BeginCheck();
        foreach (var table in tables) cache.Check(table);
        cache.EndCheck();
    }
}
