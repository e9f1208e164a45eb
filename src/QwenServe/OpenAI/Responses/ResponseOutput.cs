using System.Text;
using QwenServe.Generation;
using QwenServe.Text.Output;
using QwenServe.Text.Tokenization;

namespace QwenServe.OpenAI.Responses;

/// <summary>
/// Puts what is generated together into items, in the order in which it comes: reasoning, messages, calls. A streamed answer tells each step; the
/// items are the same without.
/// </summary>
/// <param name="tokenizer">Spells log-probs.</param>
/// <param name="events">Takes the steps; null for an answer that is sent whole.</param>
internal sealed class ResponseOutput(Tokenizer tokenizer, ResponseEvents? events)
{
    private readonly List<ResponseItem> _items = [];
    private readonly StringBuilder _text = new();
    private readonly List<TokenRecord> _tokens = [];
    private readonly List<ResponsePiece> _pieces = [];
    private ResponseItem? _open;

    public IReadOnlyList<ResponseItem> Items => _items;

    /// <summary>Whether it ended at the limit of its tokens.</summary>
    public bool IsCut { get; private set; }

    public void Add(ChoiceDelta delta)
    {
        var output = delta.Output;
        for (int at = 0; at < output.Count;)
        {
            var first = output[at];
            int end = at + 1;
            switch (first.Kind)
            {
                case OutputDeltaKind.ToolCallBegin:
                    Close("completed");
                    Open(ResponseItemKind.FunctionCall, first.Text);
                    break;
                case OutputDeltaKind.ToolCallEnd:
                    Close("completed");
                    break;
                default:
                    while (end < output.Count && output[end].Kind == first.Kind && output[end].Index == first.Index) end++;
                    var kind = KindOf(first.Kind);
                    if (_open?.Kind != kind)
                    {
                        Close("completed");
                        Open(kind, "");
                    }
                    Append(delta, at, end);
                    break;
            }
            at = end;
        }
        if (delta.Finish is { } finish) Finish(finish == OutputFinish.Length);
    }

    /// <summary>Ends what is open, for an answer that failed. No event tells it: the failure does.</summary>
    public void Break()
    {
        if (_open is not null) _items.Add(Closed("incomplete"));
        _open = null;
    }

    /// <summary>What was open when the output was cut is incomplete; an answer without a word is an empty message.</summary>
    private void Finish(bool cut)
    {
        IsCut = cut;
        Close(cut ? "incomplete" : "completed");
        if (_items.Count > 0 || cut) return;
        Open(ResponseItemKind.Message, "");
        Close("completed");
    }

    private static ResponseItemKind KindOf(OutputDeltaKind kind) => kind switch
    {
        OutputDeltaKind.Content => ResponseItemKind.Message,
        OutputDeltaKind.Reasoning => ResponseItemKind.Reasoning,
        _ => ResponseItemKind.FunctionCall,
    };

    private void Open(ResponseItemKind kind, string name)
    {
        _open = new ResponseItem { Kind = kind, Id = ResponseItem.NewId(kind), Name = name, CallId = kind == ResponseItemKind.FunctionCall ? ResponseItem.NewCallId() : "" };
        events?.OpenItem(_items.Count, _open);
    }

    private void Append(ChoiceDelta delta, int at, int end)
    {
        string text = end == at + 1 ? delta.Output[at].Text : string.Concat(delta.Output.Skip(at).Take(end - at).Select(d => d.Text));
        List<TokenRecord> tokens = _open!.Kind == ResponseItemKind.Message ? [.. delta.Tokens.Where(t => t.Output >= at && t.Output < end)] : [];
        _text.Append(text);
        _tokens.AddRange(tokens);
        if (events is null && _pieces.Count == 1) _pieces[0] = new ResponsePiece(_text.Length, _tokens.Count);
        else _pieces.Add(new ResponsePiece(text.Length, tokens.Count));
        events?.Delta(_items.Count, _open, text, tokens, tokenizer);
    }

    private void Close(string status)
    {
        if (_open is null) return;
        var item = Closed(status);
        events?.CloseItem(_items.Count, item);
        _items.Add(item);
        _open = null;
        _text.Clear();
        _tokens.Clear();
        _pieces.Clear();
    }

    private ResponseItem Closed(string status)
    {
        string text = _text.ToString();
        var item = _open! with { Status = status, Pieces = [.. _pieces] };
        return item.Kind switch
        {
            ResponseItemKind.Message => item with { Content = [new ResponsePart("output_text", text) { Tokens = [.. _tokens], Tokenizer = tokenizer }] },
            ResponseItemKind.Reasoning => item with { Content = [new ResponsePart("reasoning_text", text)] },
            _ => item with { Text = text },
        };
    }
}
