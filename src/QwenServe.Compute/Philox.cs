namespace QwenServe.Compute;

/// <summary>
/// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011): a draw is a
/// function of its key, so it does not depend on what else was drawn, where or when.
/// </summary>
public static class Philox
{
    /// <summary>A number in [0, 1) with 53 random bits, the same for equal arguments.</summary>
    public static double Uniform(ulong seed, int position)
    {
        Block((uint)seed, (uint)(seed >> 32), (uint)position, 0, 0, 0, out uint x0, out uint x1, out _, out _);
        return ((((ulong)x1 << 32) | x0) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>Four random words of counter (c0..c3) under key (k0, k1).</summary>
    public static void Block(
        uint k0, uint k1, uint c0, uint c1, uint c2, uint c3, out uint x0, out uint x1, out uint x2, out uint x3)
    {
        for (int round = 0; round < 10; round++)
        {
            ulong a = 0xD2511F53UL * c0;
            ulong b = 0xCD9E8D57UL * c2;
            (c0, c1, c2, c3) = ((uint)(b >> 32) ^ c1 ^ k0, (uint)b, (uint)(a >> 32) ^ c3 ^ k1, (uint)a);
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        x0 = c0;
        x1 = c1;
        x2 = c2;
        x3 = c3;
    }
}
