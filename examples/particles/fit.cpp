// Fits ballistic trajectories to tracked particles.
//
// Reads {"particles": [{"id": 1, "points": [[t, x, y, z], ...]}, ...]}, seconds
// and metres, y up, and prints one JSON document: for each particle the
// position and velocity at t = 0, the acceleration, the root mean square of
// the residuals, the points that a tracker got wrong, and where and when the
// particle comes back to the height that it started from.
//
// The fit is iteratively reweighted least squares with Tukey's biweight: a
// wrong point loses its influence step by step instead of bending the curve.
// Exit code 2: the input can't be used. The result depends on nothing but the
// input.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

// JSON, as much as numbers in arrays in objects need.

struct Value {
  enum class Kind { null, boolean, number, string, array, object };
  Kind kind = Kind::null;
  double number = 0;
  std::string string;
  std::vector<Value> array;
  std::map<std::string, Value> object;
};

class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  Value document() {
    Value value = parse(0);
    skip_space();
    if (at_ != text_.size()) fail("more after the end");
    return value;
  }

 private:
  static constexpr int kDeepest = 32;

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error("input: " + what + " at byte " + std::to_string(at_));
  }

  void skip_space() {
    while (at_ < text_.size() && std::string(" \t\r\n").find(text_[at_]) != std::string::npos) ++at_;
  }

  char peek() {
    skip_space();
    if (at_ == text_.size()) fail("unexpected end");
    return text_[at_];
  }

  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) fail(std::string("expected '") + wanted + "'");
  }

  Value parse(int depth) {
    if (depth > kDeepest) fail("too deep");
    switch (peek()) {
      case '{': return parse_object(depth);
      case '[': return parse_array(depth);
      case '"': return parse_string();
      case 't': return parse_word("true", Value::Kind::boolean);
      case 'f': return parse_word("false", Value::Kind::boolean);
      case 'n': return parse_word("null", Value::Kind::null);
      default: return parse_number();
    }
  }

  Value parse_object(int depth) {
    Value value;
    value.kind = Value::Kind::object;
    expect('{');
    if (take('}')) return value;
    do {
      if (peek() != '"') fail("expected a name");
      std::string name = parse_string().string;
      expect(':');
      value.object[std::move(name)] = parse(depth + 1);
    } while (take(','));
    expect('}');
    return value;
  }

  Value parse_array(int depth) {
    Value value;
    value.kind = Value::Kind::array;
    expect('[');
    if (take(']')) return value;
    do value.array.push_back(parse(depth + 1));
    while (take(','));
    expect(']');
    return value;
  }

  // Strings are names here: escapes are kept as they stand.
  Value parse_string() {
    Value value;
    value.kind = Value::Kind::string;
    expect('"');
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') value.string += text_[at_++];
      if (at_ < text_.size()) value.string += text_[at_++];
    }
    if (at_ == text_.size()) fail("unexpected end");
    ++at_;
    return value;
  }

  Value parse_word(const std::string& word, Value::Kind kind) {
    if (text_.compare(at_, word.size(), word) != 0) fail("unknown word");
    at_ += word.size();
    Value value;
    value.kind = kind;
    return value;
  }

  Value parse_number() {
    const std::size_t end = std::min(text_.find_first_not_of("+-.0123456789eE", at_), text_.size());
    const std::string digits = text_.substr(at_, end - at_);
    char* rest = nullptr;
    Value value;
    value.kind = Value::Kind::number;
    value.number = std::strtod(digits.c_str(), &rest);
    if (digits.empty() || *rest != '\0' || !std::isfinite(value.number)) fail("expected a value");
    at_ = end;
    return value;
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

const Value& field(const Value& object, const std::string& name, Value::Kind kind) {
  const auto found = object.object.find(name);
  if (found == object.object.end() || found->second.kind != kind)
    throw std::runtime_error("input: \"" + name + "\" is missing or of the wrong kind");
  return found->second;
}

// Trajectories.

using Vector = std::array<double, 3>;

struct Point {
  double time;
  Vector position;
};

struct Track {
  double id;
  std::vector<Point> points;
};

struct Fit {
  std::array<Vector, 3> coefficients;  // of 1, t and t², each for x, y and z
  std::vector<double> residuals;
  std::vector<double> weights;
};

constexpr std::size_t kFewestPoints = 5;
constexpr int kSteps = 50;
constexpr double kTukey = 4.685;            // 95 % efficient for normal errors
constexpr double kMadToDeviation = 1.4826;  // the same
constexpr double kSmallestScale = 1e-9;     // metres

Vector at(const Fit& fit, double time) {
  Vector position{};
  for (std::size_t axis = 0; axis < 3; ++axis)
    position[axis] = fit.coefficients[0][axis] +
                     time * (fit.coefficients[1][axis] + time * fit.coefficients[2][axis]);
  return position;
}

double distance(const Vector& a, const Vector& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Solves the weighted normal equations for three right hand sides at once, by
// elimination with pivots.
std::array<Vector, 3> solve(const Track& track, const std::vector<double>& weights) {
  std::array<std::array<double, 6>, 3> rows{};
  for (std::size_t i = 0; i < track.points.size(); ++i) {
    const Point& point = track.points[i];
    const Vector powers{1, point.time, point.time * point.time};
    for (std::size_t row = 0; row < 3; ++row)
      for (std::size_t column = 0; column < 3; ++column) {
        rows[row][column] += weights[i] * powers[row] * powers[column];
        rows[row][3 + column] += weights[i] * powers[row] * point.position[column];
      }
  }
  for (std::size_t pivot = 0; pivot < 3; ++pivot) {
    const auto best = std::max_element(
        rows.begin() + static_cast<std::ptrdiff_t>(pivot), rows.end(),
        [&](const auto& a, const auto& b) { return std::abs(a[pivot]) < std::abs(b[pivot]); });
    std::swap(rows[pivot], *best);
    if (std::abs(rows[pivot][pivot]) < 1e-12)
      throw std::runtime_error("input: the points of a particle don't determine a trajectory");
    for (std::size_t row = 0; row < 3; ++row) {
      if (row == pivot) continue;
      const double factor = rows[row][pivot] / rows[pivot][pivot];
      for (std::size_t column = pivot; column < 6; ++column)
        rows[row][column] -= factor * rows[pivot][column];
    }
  }
  std::array<Vector, 3> solution{};
  for (std::size_t row = 0; row < 3; ++row)
    for (std::size_t axis = 0; axis < 3; ++axis)
      solution[row][axis] = rows[row][3 + axis] / rows[row][row];
  return solution;
}

Fit fit_track(const Track& track) {
  Fit fit;
  fit.weights.assign(track.points.size(), 1.0);
  for (int step = 0; step < kSteps; ++step) {
    fit.coefficients = solve(track, fit.weights);
    fit.residuals.clear();
    for (const Point& point : track.points)
      fit.residuals.push_back(distance(at(fit, point.time), point.position));
    const double scale = std::max(kMadToDeviation * median(fit.residuals), kSmallestScale);
    double change = 0;
    for (std::size_t i = 0; i < fit.weights.size(); ++i) {
      const double ratio = std::min(fit.residuals[i] / (kTukey * scale), 1.0);
      const double weight = std::pow(1 - ratio * ratio, 2);
      change = std::max(change, std::abs(weight - fit.weights[i]));
      fit.weights[i] = weight;
    }
    if (change < 1e-9) break;
  }
  return fit;
}

// When the particle is back at the height that it had at t = 0.
double return_time(const Fit& fit) {
  const double speed = fit.coefficients[1][1];
  const double bend = fit.coefficients[2][1];
  return bend == 0 ? 0 : -speed / bend;
}

// Input and output.

Point read_point(const Value& value) {
  if (value.kind != Value::Kind::array || value.array.size() != 4)
    throw std::runtime_error("input: a point is not [t, x, y, z]");
  for (const Value& number : value.array)
    if (number.kind != Value::Kind::number)
      throw std::runtime_error("input: a point holds something that is not a number");
  return {value.array[0].number,
          {value.array[1].number, value.array[2].number, value.array[3].number}};
}

std::vector<Track> read_tracks(const Value& document) {
  if (document.kind != Value::Kind::object) throw std::runtime_error("input: not an object");
  std::vector<Track> tracks;
  for (const Value& particle : field(document, "particles", Value::Kind::array).array) {
    if (particle.kind != Value::Kind::object)
      throw std::runtime_error("input: a particle is not an object");
    Track track{field(particle, "id", Value::Kind::number).number, {}};
    for (const Value& point : field(particle, "points", Value::Kind::array).array)
      track.points.push_back(read_point(point));
    if (track.points.size() < kFewestPoints)
      throw std::runtime_error("input: a particle has fewer than 5 points");
    tracks.push_back(std::move(track));
  }
  return tracks;
}

void print_vector(const char* name, const Vector& v, double factor = 1) {
  // Adding zero turns a negative zero into a plain one.
  std::printf("\"%s\": [%.4f, %.4f, %.4f], ", name, v[0] * factor + 0.0, v[1] * factor + 0.0,
              v[2] * factor + 0.0);
}

void print_fit(const Track& track, const Fit& fit) {
  double squares = 0;
  std::size_t used = 0;
  std::string wrong;
  for (std::size_t i = 0; i < fit.weights.size(); ++i) {
    if (fit.weights[i] > 0) {
      squares += fit.residuals[i] * fit.residuals[i];
      ++used;
    } else {
      wrong += (wrong.empty() ? "" : ", ") + std::to_string(i);
    }
  }
  const double landing = return_time(fit);
  std::printf("    {\"id\": %.15g, \"points\": %zu, ", track.id, track.points.size());
  print_vector("position", fit.coefficients[0]);
  print_vector("velocity", fit.coefficients[1]);
  print_vector("acceleration", fit.coefficients[2], 2);
  std::printf("\"rms\": %.5f, \"wrong_points\": [%s], ",
              std::sqrt(squares / static_cast<double>(std::max<std::size_t>(used, 1))),
              wrong.c_str());
  print_vector("landing", at(fit, landing));
  std::printf("\"landing_time\": %.4f}", landing);
}

int run() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const std::vector<Track> tracks = read_tracks(Parser(text).document());
  std::vector<Fit> fits;
  for (const Track& track : tracks) {
    fits.push_back(fit_track(track));
    std::fprintf(stderr, "fit: particle %.15g, %zu points\n", track.id, track.points.size());
  }
  double gravity = 0;
  for (const Fit& fit : fits) gravity -= 2 * fit.coefficients[2][1] / static_cast<double>(fits.size());
  std::printf("{\n  \"gravity\": %.4f,\n  \"particles\": [", gravity + 0.0);
  for (std::size_t i = 0; i < fits.size(); ++i) {
    std::printf(i == 0 ? "\n" : ",\n");
    print_fit(tracks[i], fits[i]);
  }
  std::printf("\n  ]\n}\n");
  return 0;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fit: %s\n", error.what());
    return 2;
  }
}
