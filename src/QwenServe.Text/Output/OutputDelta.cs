namespace QwenServe.Text.Output;

/// <summary>What an <see cref="OutputDelta"/> adds to the message.</summary>
public enum OutputDeltaKind
{
    /// <summary>Text of the answer.</summary>
    Content,

    /// <summary>Text of the model's reasoning.</summary>
    Reasoning,

    /// <summary>A call begins; <see cref="OutputDelta.Text"/> is the function's name. Sent once a call, before its arguments.</summary>
    ToolCallBegin,

    /// <summary>The next characters of a call's arguments (JSON text).</summary>
    ToolCallArguments,

    /// <summary>The arguments of a call are complete. Missing when the output was cut in the middle of the call.</summary>
    ToolCallEnd,
}

/// <summary>One step of a message as it is generated.</summary>
/// <param name="Kind">What is added.</param>
/// <param name="Index">Number of the call, counted from 0 in order of appearance; 0 where the kind is not about a call.</param>
/// <param name="Text">The characters added; the name for <see cref="OutputDeltaKind.ToolCallBegin"/>, empty for <see cref="OutputDeltaKind.ToolCallEnd"/>.</param>
public readonly record struct OutputDelta(OutputDeltaKind Kind, int Index, string Text);
