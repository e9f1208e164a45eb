using System.Text.Json;

namespace QwenServe.Text.Grammar;

/// <summary>
/// The automaton of a JSON object: declared properties in order, each optional one may be left out; then undeclared ones as far as the
/// schema has a place for them. Counts properties only where <c>minProperties</c> or <c>maxProperties</c> ask for it.
/// </summary>
internal sealed class ObjectBuilder
{
    private const int MaxPatterns = 6;
    private const int MaxCounted = 50_000;

    private readonly Nfa _nfa;
    private readonly SchemaShape _shape;
    private readonly int _end;
    private readonly List<(string Name, Rule Value, bool Required)> _properties = [];
    private readonly List<(Rule Name, Rule Value)> _undeclared = [];
    private readonly int _min;
    private readonly int _max;
    private readonly bool _impossible;

    // A place: how many properties were passed by, how many were written (as far as it matters), whether an undeclared one was.
    private readonly Dictionary<(int Next, int Written, bool Undeclared), int> _keys = [];
    private readonly Dictionary<(int Next, int Written, bool Undeclared), int> _values = [];

    public ObjectBuilder(Nfa nfa, SchemaShape shape, int end, Func<List<SchemaNode>, Rule> ruleFor, Dfa? names)
    {
        (_nfa, _shape, _end) = (nfa, shape, end);
        (_min, _max) = shape.PropertyCount;
        var required = shape.Required.ToHashSet(StringComparer.Ordinal);
        foreach (var name in shape.Names)
        {
            var schemas = shape.Property(name);
            if (names?.Matches(name) == false || schemas.Exists(s => s.Schema.ValueKind == JsonValueKind.False))
            {
                if (required.Contains(name)) _impossible = true;
                continue;
            }
            _properties.Add((name, ruleFor(schemas), required.Contains(name)));
        }
        _impossible |= _min > _max || required.Count > _max;
        if (!_impossible && _properties.Count(p => p.Required) < _max) FindUndeclared(ruleFor, names);
        var declared = _properties.Count;
        if (_undeclared.Count > 0 && _min > required.Count + 1)
            throw Holder("minProperties").Refuse("minProperties", "cannot be enforced: more than one undeclared property would have to be told apart");
        _impossible |= _undeclared.Count == 0 && _min > declared;
        if ((long)(Math.Min(_max == int.MaxValue ? _min : _max, MaxCounted) + 1) * (declared + 1) > MaxCounted)
        {
            var keyword = _max == int.MaxValue ? "minProperties" : "maxProperties";
            throw Holder(keyword).Refuse(keyword, "cannot be enforced: too many properties to count");
        }
    }

    public void Build(int start)
    {
        if (_impossible) return;
        var opened = _nfa.Call(_nfa.Literal(start, "{"), JsonRules.Space);
        if (_min == 0 && !_properties.Exists(p => p.Required)) _nfa.Epsilon(_nfa.Literal(opened, "}"), _end);
        if (_max > 0) _nfa.Epsilon(opened, Key(0, 0, false));
    }

    /// <summary>Where a property's name must come, the <paramref name="next"/>th declared one or a later one.</summary>
    private int Key(int next, int written, bool undeclared)
    {
        var place = (next, written, undeclared);
        if (_keys.TryGetValue(place, out var state)) return state;
        _keys[place] = state = _nfa.NewState();
        for (var i = next; i <= _properties.Count; i++)
        {
            if (i == _properties.Count)
            {
                foreach (var (name, value) in _undeclared)
                    _nfa.Call(_nfa.Call(_nfa.Literal(_nfa.Call(state, name), ":"), JsonRules.Space), value, Behind(i, Count(written, undeclared), true));
                break;
            }
            var property = _properties[i];
            var colon = _nfa.Literal(state, SchemaShape.Quote(property.Name) + ":");
            _nfa.Call(_nfa.Call(colon, JsonRules.Space), property.Value, Behind(i + 1, Count(written, false), undeclared));
            if (property.Required) break;
        }
        return state;
    }

    /// <summary>Behind a property's value.</summary>
    private int Behind(int next, int written, bool undeclared)
    {
        var place = (next, written, undeclared);
        if (_values.TryGetValue(place, out var state)) return state;
        _values[place] = state = _nfa.NewState();
        if (_max == int.MaxValue || written < _max) _nfa.Epsilon(_nfa.Call(_nfa.Literal(state, ","), JsonRules.Space), Key(next, written, undeclared));
        var closes = written >= _min;
        for (var i = next; i < _properties.Count; i++) closes &= !_properties[i].Required;
        if (closes) _nfa.Epsilon(_nfa.Literal(_nfa.Call(state, JsonRules.Space), "}"), _end);
        return state;
    }

    /// <summary>
    /// Properties written with one more: up to what matters. Undeclared ones may repeat a name, so all of them are one towards the least count,
    /// and each is one towards the greatest.
    /// </summary>
    private int Count(int written, bool isAnotherUndeclared)
    {
        if (_max != int.MaxValue) return written + 1;
        return isAnotherUndeclared ? written : Math.Min(written + 1, _min);
    }

    private SchemaNode Holder(string keyword) => _shape.Nodes.First(n => n.Has(keyword));

    private void FindUndeclared(Func<List<SchemaNode>, Rule> ruleFor, Dfa? names)
    {
        var patterns = _shape.NamePatterns;
        if (patterns.Count > MaxPatterns)
            throw Holder("patternProperties").Refuse("patternProperties", $"cannot be enforced: more than {MaxPatterns} patterns");
        var declared = _shape.Names;
        for (var subset = 0; subset < 1 << patterns.Count; subset++)
        {
            var chosen = patterns.Where((_, i) => (subset >> i & 1) != 0).ToHashSet(StringComparer.Ordinal);
            var schemas = _shape.Undeclared(chosen);
            if (schemas.Exists(s => s.Schema.ValueKind == JsonValueKind.False)) continue;
            var which = names;
            foreach (var pattern in patterns)
            {
                var matching = _shape.NamePattern(pattern);
                Narrow(chosen.Contains(pattern) ? matching : matching.Complement());
            }
            if (declared.Count > 0) Narrow(Dfa.AllBut(declared));
            if (which is { IsEmpty: true }) continue;
            _undeclared.Add((which is null ? JsonRules.AnyString : StringRule.Of("name", which), ruleFor(schemas)));

            void Narrow(Dfa by) => which = which is null ? by : which.Intersect(by);
        }
    }
}
