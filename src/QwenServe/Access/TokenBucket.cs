namespace QwenServe.Access;

/// <summary>
/// An allowance that refills steadily up to a minute's worth. What is taken before its size is known can be settled afterwards, below zero if
/// need be: the debt is waited for by those who come next. Not thread-safe.
/// </summary>
internal sealed class TokenBucket
{
    private readonly TimeProvider _time;
    private double _level;
    private long _mark;

    public TokenBucket(long perMinute, TimeProvider time)
    {
        PerMinute = perMinute;
        _time = time;
        _level = perMinute;
        _mark = time.GetTimestamp();
    }

    public long PerMinute { get; }

    /// <summary>What could be taken now; not below 0.</summary>
    public long Remaining
    {
        get
        {
            Refill();
            return Math.Max(0, (long)_level);
        }
    }

    /// <summary>Until the bucket is full.</summary>
    public TimeSpan UntilFull => Until(PerMinute);

    /// <summary>Until so much is in it; an amount that it never holds counts as all of it.</summary>
    public TimeSpan Until(long amount)
    {
        Refill();
        double missing = Math.Min(amount, PerMinute) - _level;
        return missing <= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(missing * 60 / PerMinute);
    }

    /// <summary>Takes what is there, without asking; a negative amount puts back.</summary>
    public void Take(long amount)
    {
        Refill();
        _level = Math.Min(PerMinute, _level - amount);
    }

    private void Refill()
    {
        long now = _time.GetTimestamp();
        _level = Math.Min(PerMinute, _level + _time.GetElapsedTime(_mark, now).TotalMinutes * PerMinute);
        _mark = now;
    }
}
