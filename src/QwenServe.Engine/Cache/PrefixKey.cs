using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace QwenServe.Engine.Cache;

/// <summary>
/// Names a full block by all tokens from the start of the sequence to its end: key i = H(key i-1, tokens of block i), key -1 = H(salt).
/// 128 bits from two multiply-and-fold lanes under a secret of the process, so that nobody can search for two prefixes with one key.
/// </summary>
internal readonly record struct PrefixKey(ulong High, ulong Low)
{
    private static readonly ulong[] Secret = MakeSecret();

    /// <summary>The key before a sequence's first block.</summary>
    public static PrefixKey Root(string? salt)
    {
        // The length keeps null, empty and zero-padded salts apart.
        var key = new PrefixKey(Secret[2], Secret[3]).With(salt is null ? ulong.MaxValue : (ulong)salt.Length);
        foreach (char c in salt ?? "") key = key.With(c);
        return key;
    }

    /// <summary>The key of the block with these tokens that follows the block of this key.</summary>
    public PrefixKey Next(ReadOnlySpan<int> tokens)
    {
        var key = this;
        var pairs = MemoryMarshal.Cast<int, ulong>(tokens);
        foreach (ulong pair in pairs) key = key.With(pair);
        if ((tokens.Length & 1) != 0) key = key.With((uint)tokens[^1]);
        return key;
    }

    private PrefixKey With(ulong word) => new(
        Fold(High ^ word, Secret[0] ^ BitOperations.RotateLeft(Low, 17)),
        Fold(Low ^ word, Secret[1] ^ BitOperations.RotateLeft(High, 41)) + word);

    private static ulong Fold(ulong a, ulong b)
    {
        ulong high = Math.BigMul(a, b, out ulong low);
        return high ^ low;
    }

    private static ulong[] MakeSecret()
    {
        var words = new ulong[4];
        RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(words.AsSpan()));
        words[0] |= 1;
        words[1] |= 1;
        return words;
    }
}
