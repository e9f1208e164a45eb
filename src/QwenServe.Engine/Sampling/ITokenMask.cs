namespace QwenServe.Engine;

/// <summary>
/// What a grammar knows of one choice: which ids may come next. One mask belongs to one choice and is called by one thread at a time, in the
/// order Fill, Accept, Fill, Accept, …, but not always by the same thread and never by the engine's own while a step can proceed without it.
/// </summary>
public interface ITokenMask
{
    /// <summary>Writes the admitted ids: bit id % 32 of word id / 32. The words hold what they held before; all must be written.</summary>
    void Fill(Span<uint> mask);

    /// <summary>Moves on by a token that was drawn under the last mask and did not end the choice.</summary>
    /// <returns>False when the token is not admitted; the choice then ends with an error.</returns>
    bool Accept(int token);

    /// <summary>
    /// Moves on by ids that spell what comes next whatever is drawn, if there are any: behind Accept and before Fill. The choice goes on with
    /// them, and they are computed together.
    /// </summary>
    /// <param name="most">Ids at most, none of which may end the choice.</param>
    /// <returns>None, or two and more, since one is as well drawn.</returns>
    int[] Jump(int most) => [];
}
