using System.Text;
using System.Text.Json;
using QwenServe.Engine;
using QwenServe.Generation;
using QwenServe.Text.Output;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI.Wire;

/// <summary>Writes text completions, whole or in chunks. Choices are numbered over all prompts: promptIndex · n + k.</summary>
internal sealed class CompletionAnswerWriter(string id, long created, string model, Tokenizer tokenizer, StreamOptions options, bool logProbs)
{
    /// <summary>One chunk of a choice.</summary>
    public void WriteChunk(EventStream events, int index, string text, CompletionLogProbs? tokens, OutputFinish? finish, Usage usage)
    {
        var json = events.BeginEvent();
        AnswerWriter.Head(json, id, "text_completion"u8, created, model);
        json.WriteStartArray("choices"u8);
        WriteChoice(json, index, text, tokens, finish, null);
        json.WriteEndArray();
        if (options.ContinuousUsage) AnswerWriter.WriteUsage(json, usage);
        else if (options.IncludeUsage) json.WriteNull("usage"u8);
        json.WriteEndObject();
        events.EndEvent();
    }

    /// <summary>The chunk without choices that carries the usage.</summary>
    public void WriteUsageChunk(EventStream events, Usage usage)
    {
        var json = events.BeginEvent();
        AnswerWriter.Head(json, id, "text_completion"u8, created, model);
        json.WriteStartArray("choices"u8);
        json.WriteEndArray();
        AnswerWriter.WriteUsage(json, usage);
        json.WriteEndObject();
        events.EndEvent();
    }

    public void WriteAnswer(Utf8JsonWriter json, IReadOnlyList<CompletionChoice> choices, Usage usage)
    {
        AnswerWriter.Head(json, id, "text_completion"u8, created, model);
        json.WriteStartArray("choices"u8);
        for (int i = 0; i < choices.Count; i++) WriteChoice(json, i, choices[i].Text.ToString(), choices[i].LogProbs, choices[i].Finish, choices[i].PromptLogProbs);
        json.WriteEndArray();
        AnswerWriter.WriteUsage(json, usage);
        json.WriteEndObject();
    }

    private void WriteChoice(Utf8JsonWriter json, int index, string text, CompletionLogProbs? tokens, OutputFinish? finish, IReadOnlyList<PromptLogProb?>? prompt)
    {
        json.WriteStartObject();
        json.WriteString("text"u8, text);
        json.WriteNumber("index"u8, index);
        if (logProbs && tokens is not null) tokens.Write(json, tokenizer);
        else json.WriteNull("logprobs"u8);
        AnswerWriter.WriteFinish(json, finish);
        AnswerWriter.WritePromptLogProbs(json, tokenizer, prompt);
        json.WriteEndObject();
    }
}

/// <summary>One choice of a text completion that is sent whole.</summary>
internal sealed class CompletionChoice
{
    private double _logProbSum;
    private int _rated;

    public StringBuilder Text { get; } = new();

    public CompletionLogProbs LogProbs { get; } = new();

    public IReadOnlyList<PromptLogProb?>? PromptLogProbs { get; set; }

    public OutputFinish? Finish { get; set; }

    /// <summary>Of the tokens drawn, by which <c>best_of</c> chooses.</summary>
    public double MeanLogProb => _rated == 0 ? 0 : _logProbSum / _rated;

    public void Rate(float logProb)
    {
        _logProbSum += AnswerWriter.Finite(logProb);
        _rated++;
    }
}
