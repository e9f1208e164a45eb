namespace QwenServe.Engine.Scheduling;

/// <summary>Whose requests wait, and how much service they have had.</summary>
internal sealed class Tenant(string name)
{
    public string Name { get; } = name;

    public SequenceQueue Waiting { get; } = new();

    /// <summary>Tokens computed for it, weighted; comparable between tenants.</summary>
    public long Service { get; set; }

    /// <summary>Requests of it that have not ended.</summary>
    public int Open { get; set; }
}
