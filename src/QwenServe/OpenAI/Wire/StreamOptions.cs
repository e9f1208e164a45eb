namespace QwenServe.OpenAI.Wire;

/// <summary>Whether and how an answer is streamed.</summary>
/// <param name="Stream">As server-sent events.</param>
/// <param name="IncludeUsage">One more chunk with the usage at the end, and <c>usage: null</c> in all others.</param>
/// <param name="ContinuousUsage">The usage so far in each chunk (vLLM's extension).</param>
internal readonly record struct StreamOptions(bool Stream, bool IncludeUsage, bool ContinuousUsage)
{
    public static StreamOptions Read(RequestFields fields)
    {
        bool stream = fields.Boolean("stream") ?? false;
        if (fields.Object("stream_options") is not { } options) return new StreamOptions(stream, false, false);
        if (!stream) throw ApiException.InvalidValue("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
        options.Ignore("include_obfuscation");
        bool usage = options.Boolean("include_usage") ?? false;
        return new StreamOptions(true, usage, usage && (options.Boolean("continuous_usage_stats") ?? false));
    }
}
