using System.Text;
using QwenServe.Generation;
using QwenServe.Text.Output;

namespace QwenServe.Anthropic.Wire;

/// <summary>What a content block holds.</summary>
internal enum BlockKind
{
    Text,
    Thinking,
    ToolUse,
}

/// <summary>One block of an answer.</summary>
/// <param name="Kind">What it holds.</param>
/// <param name="Name">Of a tool that is called; empty otherwise.</param>
/// <param name="Text">Text, thinking, or the JSON text of a tool's input: a prefix of it where the output was cut.</param>
internal sealed record ContentBlock(BlockKind Kind, string Name, StringBuilder Text);

/// <summary>The blocks of an answer that is sent whole: the same that a stream of it opens and closes.</summary>
internal sealed class AssembledContent
{
    private readonly List<ContentBlock> _blocks = [];
    private ContentBlock? _open;

    public IReadOnlyList<ContentBlock> Blocks => _blocks;

    public OutputFinish Finish { get; private set; }

    public string? StopString { get; private set; }

    public void Add(ChoiceDelta delta)
    {
        foreach (var output in delta.Output) Add(output);
        if (delta.Finish is not { } finish) return;
        Finish = finish;
        StopString = delta.StopString;
    }

    /// <summary>The kind of block that a delta belongs to; null for the end of one.</summary>
    public static BlockKind? KindOf(OutputDelta delta) => delta.Kind switch
    {
        OutputDeltaKind.Content => BlockKind.Text,
        OutputDeltaKind.Reasoning => BlockKind.Thinking,
        OutputDeltaKind.ToolCallBegin or OutputDeltaKind.ToolCallArguments => BlockKind.ToolUse,
        _ => null,
    };

    private void Add(OutputDelta delta)
    {
        if (KindOf(delta) is not { } kind)
        {
            _open = null;
            return;
        }
        bool begins = delta.Kind == OutputDeltaKind.ToolCallBegin;
        if (begins || _open?.Kind != kind)
        {
            _open = new ContentBlock(kind, begins ? delta.Text : "", new StringBuilder());
            _blocks.Add(_open);
        }
        if (!begins) _open.Text.Append(delta.Text);
    }
}
