using System.Runtime.CompilerServices;

namespace QwenServe.Text.Chat.Jinja;

/// <summary>
/// The state of one rendering: output, the line being executed, and the sandbox's budgets. Every node visited, item walked and block of
/// characters produced is charged to one step budget, so that a template's time is bounded whatever it does.
/// </summary>
internal sealed class Rendering
{
    /// <summary>Steps a rendering may take.</summary>
    public const long MaximumSteps = 10_000_000;

    /// <summary>UTF-16 units a string or the output may reach.</summary>
    public const long MaximumLength = 64L * 1024 * 1024;

    /// <summary>Nesting of macro calls, recursive loops and nested values.</summary>
    public const int MaximumDepth = 200;

    private const int UnitsPerStep = 32;

    private long _steps;
    private int _units;
    private int _depth;

    public Rendering()
    {
        Output = new MarkedStringBuilder(this);
    }

    public MarkedStringBuilder Output { get; set; }

    public int Line { get; set; } = 1;

    public Func<DateTime> Now { get; init; } = () => DateTime.Now;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Charge(long steps = 1)
    {
        if ((_steps += steps) > MaximumSteps)
            throw new SandboxLimitException($"the template ran for more than {MaximumSteps} steps");
    }

    /// <summary>Accounts for <paramref name="produced"/> new units in a text that reaches <paramref name="total"/>.</summary>
    public void ChargeText(long produced, long total)
    {
        if (total > MaximumLength)
            throw new SandboxLimitException($"the template made a text of more than {MaximumLength} characters");
        long units = _units + produced;
        Charge(units / UnitsPerStep);
        _units = (int)(units % UnitsPerStep);
    }

    public void ChargeText(long length) => ChargeText(length, length);

    public void ChargeItems(long count)
    {
        Charge(count);
    }

    /// <summary>Enters a macro, recursion or nested value; the stack itself is checked too.</summary>
    public void Enter()
    {
        if (++_depth > MaximumDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new SandboxLimitException($"the template is nested more than {MaximumDepth} deep");
    }

    public void Leave() => _depth--;
}
