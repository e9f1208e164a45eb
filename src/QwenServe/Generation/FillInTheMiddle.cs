using System.Text;
using QwenServe.Text;
using QwenServe.Text.Tokenization;

namespace QwenServe.Generation;

/// <summary>
/// Qwen2.5-Coder's prompt for code between a prefix and a suffix, alone or after other files of its repository (the README of Qwen2.5-Coder).
/// The code is the user's: control tokens in it are plain text.
/// </summary>
internal static class FillInTheMiddle
{
    private static readonly string[] Markers = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"];

    /// <summary>What ends the middle: the markers are ordinary tokens to the tokenizer, so they have to be stops.</summary>
    private static readonly string[] Stops =
        [.. Markers, "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|endoftext|>", "<|im_end|>"];

    /// <summary>Other files that the model sees first.</summary>
    /// <param name="Name">The repository's name.</param>
    /// <param name="Files">Path and content of each.</param>
    /// <param name="Path">Path of the file to be filled in.</param>
    internal sealed record Repository(string Name, IReadOnlyList<(string Path, string Content)> Files, string Path);

    /// <summary>Whether the model has the markers.</summary>
    public static bool IsServed(Tokenizer tokenizer) => Markers.All(m => tokenizer.FindAddedToken(m) is not null);

    public static IEnumerable<int> StopTokenIds(Tokenizer tokenizer) => Stops.Select(tokenizer.FindAddedToken).OfType<int>();

    public static PromptText Prompt(string prefix, string suffix, Repository? repository)
    {
        var text = new StringBuilder();
        var ranges = new List<TextRange>();
        if (repository is not null)
        {
            text.Append("<|repo_name|>");
            Write(repository.Name);
            text.Append('\n');
            foreach (var (path, content) in repository.Files)
            {
                text.Append("<|file_sep|>");
                Write(path);
                text.Append('\n');
                Write(content);
                text.Append('\n');
            }
            text.Append("<|file_sep|>");
            Write(repository.Path);
            text.Append('\n');
        }
        text.Append("<|fim_prefix|>");
        Write(prefix);
        text.Append("<|fim_suffix|>");
        Write(suffix);
        text.Append("<|fim_middle|>");
        return new PromptText(text.ToString(), ranges);

        void Write(string part)
        {
            if (part.Length == 0) return;
            ranges.Add(new TextRange(text.Length, part.Length));
            text.Append(part);
        }
    }
}
