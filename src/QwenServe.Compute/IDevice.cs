namespace QwenServe.Compute;

/// <summary>
/// What a Qwen2 forward pass asks of the hardware, in the order it asks. A device owns the activations of the step in hand, the KV
/// cache and all weights; callers hold handles and block ids only. One thread, the engine's, makes all calls.
///
/// A step is: <see cref="Begin"/>, the operations from <see cref="Embed"/> to <see cref="NormLogits"/> inside <see cref="Run"/>,
/// <see cref="Sample"/>, <see cref="Complete"/>. All but Complete may return before the work is done. Begin and Run of the next step may
/// come before Complete of this one; Complete hands out results in the order of Sample.
///
/// h is the residual stream, [tokens, HiddenSize].
/// </summary>
public interface IDevice : IDisposable
{
    /// <summary>One line for people: kind, name, memory, what it computes with.</summary>
    string Description { get; }

    /// <summary>"cpu" or "cuda".</summary>
    string Kind { get; }

    /// <summary>Bytes that weights, activations and the KV cache may still take, whatever limits the process.</summary>
    long AvailableMemory { get; }

    // ---- once, at load ----

    /// <summary>Takes the model's sizes; must come before any weights.</summary>
    /// <param name="geometry">The model's sizes.</param>
    /// <param name="weightType">Convert weights to this type while loading; null keeps each tensor's own.</param>
    void Configure(ModelGeometry geometry, DType? weightType);

    /// <summary>A norm's weights [1, n].</summary>
    Weights LoadVector(HostTensor source);

    /// <summary>y = x·Wᵀ (+ b), W being the parts stacked along their rows and b likewise (empty: none).</summary>
    Weights LoadLinear(ReadOnlySpan<HostTensor> parts, ReadOnlySpan<HostTensor> biases);

    /// <summary>The two halves of SwiGLU, [I, H] each.</summary>
    Weights LoadGateUp(HostTensor gate, HostTensor up);

    /// <summary>The embedding table [V, H]; with <paramref name="tied"/> the same copy serves as the head of <see cref="NormLogits"/>.</summary>
    Weights LoadEmbedding(HostTensor table, bool tied);

    /// <summary>A sparse layer.</summary>
    Weights LoadMoe(MoeSource source);

    /// <summary>
    /// Rotary tables: position p turns the pair (i, i + HeadDim / 2) by p·inverseFrequencies[i], cosine and sine both scaled
    /// (Su et al. 2021 in the half-split form of GPT-NeoX; the scale is YaRN's attention factor).
    /// </summary>
    Weights LoadRope(ReadOnlySpan<float> inverseFrequencies, float scale, int maxPositions);

    /// <summary>The ids that have a token: bit id % 32 of word id / 32. Others are never drawn but count in the normaliser.</summary>
    void SetVocabulary(ReadOnlySpan<uint> tokenIds);

    /// <summary>Allocates activations for the largest step; comes after the weights.</summary>
    void AllocateStep(StepLimits limits);

    /// <summary>Bytes that the KV cache may take by default, with the weights and the step's activations in place.</summary>
    /// <param name="utilization">Share of a GPU's memory the process may use; a CPU takes its own rule.</param>
    long KvCacheBudget(double utilization);

    /// <summary>The type of KV elements that <c>auto</c> stands for.</summary>
    DType DefaultKvType { get; }

    /// <summary>Allocates blocks 0 .. blocks-1 of blockSize positions for all layers; called again, in place of those before, whose contents are lost.</summary>
    void AllocateKvCache(int blocks, int blockSize, DType type);

    // ---- between steps ----

    /// <summary>Copies a block of every layer (copy on write).</summary>
    void CopyBlock(int source, int destination);

    /// <summary>Starts a slot anew: its penalty counts become those of the tokens given.</summary>
    void AssignSlot(int slot, ReadOnlySpan<int> prompt, ReadOnlySpan<int> output);

    // ---- a step ----

    void Begin(StepInputs inputs);

    /// <summary>Performs the operations that <paramref name="forward"/> issues; a device that records may replay an equal step instead.</summary>
    void Run(Action forward);

    /// <summary>h = table[ids]</summary>
    void Embed(Weights embedding);

    /// <summary>q, k, v = Linear(RMSNorm(h)); q and k are turned by rope; k and v go into the cache.</summary>
    void NormQkvRopeStore(int layer, Weights norm, Weights qkv, Weights rope);

    /// <summary>a = softmax(q·Kᵀ / sqrt(HeadDim))·V over the cache, causal. window &gt; 0: the last window keys, the own one included.</summary>
    void Attend(int layer, int window);

    /// <summary>h += Linear(a)</summary>
    /// <param name="output">The linear layer.</param>
    /// <param name="next">The norm that h goes through next; a device may prepare for it.</param>
    void OutputAdd(Weights output, Weights next);

    /// <summary>m = silu(gate(x))·up(x) with x = RMSNorm(h)</summary>
    void NormGateUpSwiglu(Weights norm, Weights gateUp);

    /// <summary>h += Linear(m); <paramref name="next"/> as for <see cref="OutputAdd"/>.</summary>
    void DownAdd(Weights down, Weights next);

    /// <summary>h += Σ w_e·expert_e(x) + sigmoid(g·x)·shared(x) with x = RMSNorm(h), w the top-k of softmax(router·x).</summary>
    void NormRouteExperts(Weights norm, Weights moe);

    /// <summary>logits = head·RMSNorm(h) at the wanted tokens, fp32 [LogitCount, VocabularySize]; head is a linear or a tied embedding.</summary>
    void NormLogits(Weights norm, Weights head);

    /// <summary>Draws a token a row from the logits of the step in hand, stores it in the row's slot and counts it there.</summary>
    void Sample(SamplingInputs inputs);

    /// <summary>Waits for the oldest Sample not yet completed and copies its results.</summary>
    void Complete(SamplingResults results);

    /// <summary>The logits of the step in hand, row by row, for tests.</summary>
    void ReadLogits(int row, Span<float> destination);

    /// <summary>
    /// RMSNorm(h) at tokens of the step in hand, named by index, fp32 [tokens, HiddenSize]: what embeddings and rewards are made of.
    /// Comes between Run and the next Begin, and waits for the step.
    /// </summary>
    void ReadHidden(Weights norm, ReadOnlySpan<int> tokens, Span<float> destination);
}
