using QwenServe.Access;
using QwenServe.Engine;
using QwenServe.Engine.Model;
using QwenServe.Hosting;
using QwenServe.OpenAI.Wire;

namespace QwenServe.Generation;

/// <summary>
/// What a reward model, a process reward model or a classifier says of prompts: the outputs of its head at the last token, or at each step token.
/// Source: the usage programs of the model cards of Qwen2.5-Math-RM-72B and Qwen2.5-Math-PRM-7B.
/// </summary>
internal static class ConversationScores
{
    /// <returns>For each prompt one row of outputs, or one a step: the probabilities that it is wrong and that it is right.</returns>
    /// <exception cref="ApiException">The model is not for scoring, a prompt has no step, or the engine refuses.</exception>
    public static async Task<float[][][]> ComputeAsync(ServedModel model, IReadOnlyList<int[]> prompts, string field, PooledOptions options, Caller caller)
    {
        if (model.Score is not { } head) throw NoReward(model);
        var pooled = prompts.Select((tokens, i) => new PooledPrompt(tokens, model.StepToken is { } step ? Steps(tokens, step, prompts.Count > 1 ? $"{field}[{i}]" : field) : Pooling.Last)).ToList();
        var rows = await PooledPrompts.RunAsync(model, "score-" + Guid.NewGuid().ToString("N"), pooled, options, caller).ConfigureAwait(false);
        return [.. rows.Select(r =>
        {
            var outputs = head.Apply(r);
            return model.Purpose == ModelTask.ProcessReward ? [.. outputs.Select(StepScores.Probabilities)] : outputs;
        })];
    }

    public static ApiException NoReward(ServedModel model)
        => ApiException.InvalidValue("model", $"The model `{model.Name}` has no head to score with; Qwen2ForRewardModel, Qwen2ForProcessRewardModel and Qwen2ForSequenceClassification checkpoints have one.");

    private static Pooling Steps(int[] tokens, int step, string field)
    {
        int[] at = [.. Enumerable.Range(0, tokens.Length).Where(i => tokens[i] == step)];
        return at.Length > 0 ? Pooling.At(at) : throw ApiException.InvalidValue(field, $"Invalid '{field}': there is no step. Each step of the answer has to end in {StepScores.Token}.");
    }
}
