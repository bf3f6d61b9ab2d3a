/* Lines of JSON to columns, in one walk over each line.

   In: lines, and a plan (scan_plan.py): which keys of which objects hold what, and what is kept of it. Out: of each line that
   is as plain as the plan has it, one row in every column; the numbers of all other lines. Nothing is decided here and
   nothing repaired: what this file is not sure of (an escape in a kept text, a key twice, a number out of range, deep
   nesting, no JSON at all) makes the whole line odd, and odd lines are read by others. The text must be UTF-8.

   No libc, no memory of its own: the caller lays out everything and gives the addresses. The lines have PADDING bytes
   behind them, the first a line break, so that a load of some bytes at once stays within them, and every walk ends. */

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;
typedef u8 bytes16 __attribute__((vector_size(16)));
typedef u64 words2 __attribute__((vector_size(16)));

enum { IS_NULL = 1, IS_TEXT = 2, IS_INT = 4, IS_FLOAT = 8, IS_BOOL = 16, IS_OBJECT = 32, IS_LIST = 64 };
enum { NOTHING, TEXT, JSON, COUNT, SECONDS, FLAG, PART };      /* what a column keeps of a value */
enum { NULL_TELLS = 1, NAMED = 2, INNER_TELLS = 4 };           /* marks of a type: what makes an object more than blank */
enum { NO_OBJECT, OBJECT, NULL_OBJECT };
enum { DEEPEST = 60, LONGEST_NUMBER = 40, CACHED = 64 };

typedef struct { i64 kinds, keep, column, marks, object, items, count, shortest, longest, least, most; } Type;
typedef struct { i64 first_key, keys, slots, mask, required, closed; } Object;   /* keys by hash: slots from .. on */
typedef struct { i64 type, name, length, required; } Key;
typedef struct {
    i64 values, there, texts, cache;         /* addresses; texts: of those too long for a view; cache: of the last ones */
    i64 keep, filled, fallback, length;      /* filled: whether a text stands for what is not there, and which */
    i64 line, used, nulls;                   /* line: that filled it last; used: bytes of texts */
} Column;
typedef struct { u32 length; u8 start[4]; u32 buffer, offset; } View;            /* Arrow's view of a text */

typedef struct {
    i64 types, objects, keys, columns, names, slots, stamps, odd, numbers, offsets;  /* addresses */
    i64 object_count, column_count, most_texts, most_rows;
    i64 rows, odd_count;                     /* what there is now */
} Plan;

#define AT(kind, address) ((kind *)(__UINTPTR_TYPE__)(address))

static Plan *plan;
static Type *types;
static Object *objects;
static Key *keys;
static Column *columns;
static u8 *names;                            /* of keys, and texts that stand for what is not there */
static u32 *slots;                           /* of keys: by hash */
static i64 *stamps;                          /* of keys: in which object each was met last */
static i64 serial, line;                     /* of objects, of lines: as stamps */

static u64 load8(const u8 *at) { u64 word; __builtin_memcpy(&word, at, 8); return word; }

static int is_same(const u8 *one, const u8 *other, u64 length) {
    for (; length >= 8; one += 8, other += 8, length -= 8)
        if (load8(one) != load8(other)) return 0;
    return !length || !((load8(one) ^ load8(other)) << (64 - 8 * length));
}

static u32 hash_of(const u8 *at, u64 length) {
    u64 first = load8(at), last = load8(at + (length > 8 ? length - 8 : 0));
    u64 rest = length < 8 ? 64 - 8 * length : 0;
    u64 mixed = length ? ((first << rest) ^ (last << rest) * 0x9E3779B97F4A7C15ull) + length : 0;
    return (u32)((mixed * 0xD6E8FEB86659FD93ull) >> 32);
}

/* The first byte that is a quote, a backslash or a control character. */
static const u8 *text_stop(const u8 *at) {
    for (;; at += 16) {
        bytes16 some;
        __builtin_memcpy(&some, at, 16);
        words2 found = (words2)((some == '"') | (some == '\\') | (some < ' '));
        if (found[0]) return at + __builtin_ctzll(found[0]) / 8;
        if (found[1]) return at + 8 + __builtin_ctzll(found[1]) / 8;
    }
}

static const u8 *line_end(const u8 *at) {
    for (;; at += 16) {
        bytes16 some;
        __builtin_memcpy(&some, at, 16);
        words2 found = (words2)(some == '\n');
        if (found[0]) return at + __builtin_ctzll(found[0]) / 8;
        if (found[1]) return at + 8 + __builtin_ctzll(found[1]) / 8;
    }
}

static const u8 *past_blanks(const u8 *at) {
    while (*at == ' ' || *at == '\t') at++;
    return at;
}

static int is_digit(u8 byte) { return byte >= '0' && byte <= '9'; }

/* The number that four hexadecimal digits are; -1: they are none. */
static int unit_of(const u8 *at) {
    int unit = 0;
    for (int place = 0; place < 4; place++) {
        int letter = at[place] | 32;
        if (is_digit(at[place])) unit = unit << 4 | (at[place] - '0');
        else if (letter >= 'a' && letter <= 'f') unit = unit << 4 | (letter - 'a' + 10);
        else return -1;
    }
    return unit;
}

/* Past an escape, its backslash passed; 0: it is none, or half a pair. */
static const u8 *past_escape(const u8 *at) {
    u8 sign = *at++;
    if (sign != 'u')
        return sign == '"' || sign == '\\' || sign == '/' || sign == 'b' || sign == 'f' || sign == 'n' || sign == 'r' ||
               sign == 't' ? at : 0;
    int unit = unit_of(at);
    if (unit < 0) return 0;
    if (unit >> 11 != 0xD800 >> 11) return at + 4;
    return unit < 0xDC00 && at[4] == '\\' && at[5] == 'u' && unit_of(at + 6) >> 10 == 0xDC00 >> 10 ? at + 10 : 0;
}

/* Of a text that begins at a place, past its quote: where its last quote is; 0: it has none. */
static const u8 *text_end(const u8 *at, int *escaped) {
    for (;;) {
        at = text_stop(at);
        if (*at == '"') return at;
        if (*at++ != '\\') return 0;
        *escaped = 1;
        if (!(at = past_escape(at))) return 0;
    }
}

/* Past a number, null, true or false, and which of them it is; 0: it is none. */
static const u8 *scalar_end(const u8 *at, int *kind) {
    const u8 *start = at;
    u32 word = (u32)load8(at);
    if (word == 0x6c6c756e) { *kind = IS_NULL; return at + 4; }
    if (word == 0x65757274) { *kind = IS_BOOL; return at + 4; }
    if (word == 0x736c6166 && at[4] == 'e') { *kind = IS_BOOL; return at + 5; }
    if (*at == '-') at++;
    if (*at == '0') at++;
    else if (is_digit(*at)) while (is_digit(*at)) at++;
    else return 0;
    *kind = IS_INT;
    if (*at == '.') {
        *kind = IS_FLOAT;
        if (!is_digit(*++at)) return 0;
        while (is_digit(*at)) at++;
    }
    if (*at == 'e' || *at == 'E') {
        *kind = IS_FLOAT;
        at++;
        if (*at == '+' || *at == '-') at++;
        if (!is_digit(*at)) return 0;
        while (is_digit(*at)) at++;
    }
    return at - start > LONGEST_NUMBER ? 0 : at;
}

/* Past a key and its colon; 0: there is none. */
static const u8 *past_key(const u8 *at) {
    int escaped;
    if (*at != '"' || !(at = text_end(at + 1, &escaped))) return 0;
    at = past_blanks(at + 1);
    return *at == ':' ? past_blanks(at + 1) : 0;
}

/* Past a value that nobody looks at; 0: it is no JSON, or too deep. */
static const u8 *past_value(const u8 *at) {
    u64 lists = 0;                           /* one bit a level, of the innermost the lowest */
    int depth = 0, ignored;
    for (;;) {
        u8 first = *at;
        if (first == '"') {
            if (!(at = text_end(at + 1, &ignored))) return 0;
            at++;
        } else if (first == '{' || first == '[') {
            if (++depth > DEEPEST) return 0;
            lists = lists << 1 | (first == '[');
            at = past_blanks(at + 1);
            if (*at != first + 2) {
                if (first == '{' && !(at = past_key(at))) return 0;
                continue;
            }
        } else if (!(at = scalar_end(at, &ignored))) {
            return 0;
        }
        for (; depth; at++, depth--, lists >>= 1) {
            at = past_blanks(at);
            if (*at == ',') break;
            if (*at != (lists & 1 ? ']' : '}')) return 0;
        }
        if (!depth) return at;
        at = past_blanks(at + 1);
        if (!(lists & 1) && !(at = past_key(at))) return 0;
    }
}

/* Keep a text, a long one beside the column, once if it stood there lately; 0: there is no room. */
static int keep_text(Column *column, const u8 *at, u64 length) {
    View *view = AT(View, column->values) + plan->rows;
    if (length > 1 << 30) return 0;
    view->length = (u32)length;
    if (length <= 12) {
        u64 low = length ? load8(at) : 0, high = length > 8 ? load8(at + 8) : 0;
        if (length && length < 8) low = low << (64 - 8 * length) >> (64 - 8 * length);
        if (length > 8) high = high << (128 - 8 * length) >> (128 - 8 * length);
        __builtin_memcpy(view->start, &low, 8);
        __builtin_memcpy(&view->offset, &high, 4);
        return 1;
    }
    u8 *texts = AT(u8, column->texts);
    u32 *known = AT(u32, column->cache) + 2 * (hash_of(at, length) % CACHED);        /* where, and how long */
    if (known[1] != length || known[0] + (i64)length > column->used || !is_same(texts + known[0], at, length)) {
        if (column->used + (i64)length > plan->most_texts) return 0;
        __builtin_memcpy(texts + column->used, at, length);
        known[0] = (u32)column->used;
        known[1] = (u32)length;
        column->used += (i64)length;
    }
    __builtin_memcpy(view->start, at, 4);
    view->buffer = 0;
    view->offset = known[0];
    return 1;
}

/* A whole number without a sign, of at most 18 digits; -1: it is none. */
static i64 count_of(const u8 *at, const u8 *end) {
    i64 count = 0;
    if (end - at > 18) return -1;
    for (; at < end; at++) {
        if (!is_digit(*at)) return -1;
        count = count * 10 + (*at - '0');
    }
    return count;
}

/* A number without sign and exponent, exactly: both parts of the fraction are floats; -1: it cannot be told. */
static double seconds_of(const u8 *at, const u8 *end) {
    i64 digits = 0;
    double scale = 0;
    for (int count = 0; at < end; at++) {
        if (*at == '.') { scale = 1; continue; }
        if (!is_digit(*at) || ++count > 18) return -1;
        digits = digits * 10 + (*at - '0');
        scale *= 10;
    }
    if (digits >= 1ll << 53) return -1;
    return scale ? (double)digits / scale : (double)digits;
}

static const u8 *take_value(const u8 *at, const Type *type, int *tells);

static i64 find_key(const Object *object, const u8 *name, u64 length) {
    for (u32 slot = hash_of(name, length);; slot++) {
        i64 number = slots[object->slots + (slot & object->mask)];
        if (!number) return -1;
        const Key *key = keys + number - 1;
        if ((u64)key->length == length && is_same(names + key->name, name, length)) return number - 1;
    }
}

/* Past an object, its bracket passed; 0: the line is odd. */
static const u8 *take_object(const u8 *at, const Object *object, int *tells) {
    i64 own = ++serial;
    i64 required = 0;
    at = past_blanks(at);
    if (*at != '}') for (;;) {
        if (*at++ != '"') return 0;
        const u8 *end = text_stop(at);
        if (*end != '"') return 0;
        i64 number = find_key(object, at, (u64)(end - at));
        at = past_blanks(end + 1);
        if (*at != ':') return 0;
        at = past_blanks(at + 1);
        if (number >= 0) {
            const Key *key = keys + number;
            if (stamps[number] == own) return 0;
            stamps[number] = own;
            required += key->required;
            at = take_value(at, types + key->type, tells);
        } else {
            at = object->closed ? 0 : past_value(at);
        }
        if (!at) return 0;
        at = past_blanks(at);
        if (*at == '}') break;
        if (*at != ',') return 0;
        at = past_blanks(at + 1);
    }
    return required == object->required ? at + 1 : 0;
}

/* Past a list, its bracket passed; 0: the line is odd. */
static const u8 *take_list(const u8 *at, const Type *type, int *tells) {
    i64 count = 0;
    at = past_blanks(at);
    if (*at != ']') for (;; at = past_blanks(at + 1)) {
        if (count == type->longest) return 0;
        at = take_value(at, types + type->items + (type->count ? count : 0), tells);
        if (!at) return 0;
        count++;
        at = past_blanks(at);
        if (*at == ']') break;
        if (*at != ',') return 0;
    }
    return count >= type->shortest ? at + 1 : 0;
}

/* Put a value into its column; 0: the line is odd. */
static int keep_value(const u8 *at, const u8 *end, int kind, const Type *type, int tells) {
    Column *column = columns + type->column;
    column->line = line;
    AT(u8, column->there)[plan->rows] = kind != IS_NULL;
    switch (type->keep) {
        case TEXT: return kind == IS_NULL || keep_text(column, at + 1, (u64)(end - at - 2));
        case JSON: return kind == IS_NULL || keep_text(column, at, (u64)(end - at));
        case COUNT: AT(i64, column->values)[plan->rows] = kind == IS_NULL ? 0 : count_of(at, end); return 1;
        case SECONDS: {
            double seconds = kind == IS_NULL ? 0 : seconds_of(at, end);
            AT(double, column->values)[plan->rows] = seconds;
            return seconds >= 0;
        }
        case FLAG: AT(u8, column->values)[plan->rows] = 1; return 1;
        default:
            AT(u8, column->values)[plan->rows] = kind == IS_NULL ? type->marks & NAMED ? NULL_OBJECT : NO_OBJECT
                                         : type->marks & NAMED || tells ? OBJECT : NO_OBJECT;
            return 1;
    }
}

/* Past a value of some type; tells: set where it is not as good as nothing; 0: the line is odd. */
static const u8 *take_value(const u8 *at, const Type *type, int *tells) {
    const u8 *start = at;
    int kind, escaped = 0, inner = 0;
    if (*at == '"') {
        kind = IS_TEXT;
        if ((at = text_end(at + 1, &escaped))) at++;
        if (escaped && type->keep == TEXT) return 0;
    } else if (*at == '{') {
        kind = IS_OBJECT;
        at = type->object < 0 ? past_value(at) : take_object(at + 1, objects + type->object, &inner);
    } else if (*at == '[') {
        kind = IS_LIST;
        at = type->items < 0 ? past_value(at) : take_list(at + 1, type, &inner);
    } else {
        at = scalar_end(at, &kind);
        if (at && kind == IS_INT && type->most >= 0) {
            i64 count = count_of(start, at);
            if (count < type->least || count > type->most) return 0;
        }
    }
    if (!at || !(type->kinds & kind)) return 0;
    *tells |= kind == IS_NULL ? type->marks & NULL_TELLS : type->marks & INNER_TELLS ? inner : 1;
    return type->keep == NOTHING || keep_value(start, at, kind, type, inner) ? at : 0;
}

/* Fill the columns of which a line says nothing; 0: there is no room. */
static int fill_row(void) {
    for (i64 number = 0; number < plan->column_count; number++) {
        Column *column = columns + number;
        if (column->line == line) continue;
        AT(u8, column->there)[plan->rows] = (u8)column->filled;
        switch (column->keep) {
            case TEXT: case JSON:
                if (!keep_text(column, names + column->fallback, (u64)column->length)) return 0;
                break;
            case COUNT: AT(i64, column->values)[plan->rows] = -1; break;
            case SECONDS: AT(double, column->values)[plan->rows] = -1; break;
            default: AT(u8, column->values)[plan->rows] = 0;
        }
    }
    return 1;
}

/* Take over a plan: put its keys where their hashes are looked for. The slots and stamps are all 0. */
__attribute__((visibility("default"))) void prepare(Plan *given) {
    plan = given;
    types = AT(Type, plan->types);
    objects = AT(Object, plan->objects);
    keys = AT(Key, plan->keys);
    columns = AT(Column, plan->columns);
    names = AT(u8, plan->names);
    slots = AT(u32, plan->slots);
    stamps = AT(i64, plan->stamps);
    serial = line = 0;
    for (i64 number = 0; number < plan->object_count; number++) {
        const Object *object = objects + number;
        for (i64 key = object->first_key; key < object->first_key + object->keys; key++) {
            u32 slot = hash_of(names + keys[key].name, (u64)keys[key].length);
            while (slots[object->slots + (slot & object->mask)]) slot++;
            slots[object->slots + (slot & object->mask)] = (u32)key + 1;
        }
    }
}

/* Read lines; number, offset: of the first of them. Returns how many bytes were read: too few where rows have no room. */
__attribute__((visibility("default"))) i64 scan(const u8 *at, const u8 *end, i64 number, i64 offset) {
    const u8 *begin = at;
    i64 lines = 0;
    plan->odd_count = 0;
    if (!plan->rows)
        for (i64 column = 0; column < plan->column_count; column++) columns[column].used = 0;
    for (; at < end && plan->rows < plan->most_rows && plan->odd_count < plan->most_rows; lines++, at++) {
        const u8 *start = at;
        int tells = 0;
        line++;
        at = take_value(at, types, &tells);
        if (at) {
            at = past_blanks(at);
            if (*at == '\r') at++;
            if (*at != '\n' || !fill_row()) at = 0;
        }
        if (at) {
            AT(i64, plan->numbers)[plan->rows] = number + lines;
            AT(i64, plan->offsets)[plan->rows] = offset + (start - begin);
            plan->rows++;
        } else {
            AT(u32, plan->odd)[plan->odd_count++] = (u32)lines;
            at = line_end(start);
        }
    }
    return at - begin;
}

/* Make bits of the bytes that say which rows of a column hold something, in their place, and count the others. */
__attribute__((visibility("default"))) void pack(void) {
    for (i64 number = 0; number < plan->column_count; number++) {
        Column *column = columns + number;
        u8 *there = AT(u8, column->there);
        column->nulls = 0;
        for (i64 row = 0; row < plan->rows; row += 8) {
            u32 bits = 0;
            for (i64 place = 0; place < 8 && row + place < plan->rows; place++) {
                bits |= (u32)there[row + place] << place;
                column->nulls += !there[row + place];
            }
            there[row / 8] = (u8)bits;
        }
    }
}
