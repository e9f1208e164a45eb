using System.Text.Encodings.Web;
using System.Text.Json;

namespace QwenServe.OpenAI.Wire;

/// <summary>How JSON is written: compact, non-ASCII and markup as they are (it is never pasted into a page by us), no validation of what our own code writes.</summary>
internal static class JsonText
{
    public static JsonWriterOptions Writing { get; } = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };

    public static JsonDocumentOptions Reading { get; } = new() { MaxDepth = 128 };
}
