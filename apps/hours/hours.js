// Opening hours, the same for every language: no words here, only days and minutes.
// Days count as Date.getDay() does, from Sunday 0. Minutes count from midnight.

// Branch -> for each day [opens, closes], or null when it stays closed.
var WEEKDAY = [540, 1080];
var BRANCHES = {
  paris: [null, WEEKDAY, WEEKDAY, WEEKDAY, WEEKDAY, WEEKDAY, [570, 990]],
  lyon: [null, null, [540, 1050], [540, 1050], [540, 1170], [540, 1050], [540, 720]],
  rennes: [null, WEEKDAY, WEEKDAY, WEEKDAY, WEEKDAY, [540, 960], null]
};

// What a caller wants to know at the moment `now`, a Date:
//   {open: true, until: minute}
//   {open: false, inDays: 0 for today, 1 for tomorrow, ..., day: 0 to 6, from: minute}
function statusAt(branch, now) {
  var week = BRANCHES[branch];
  var minute = now.getHours() * 60 + now.getMinutes();
  var today = week[now.getDay()];
  if (today && minute >= today[0] && minute < today[1]) {
    return {open: true, until: today[1]};
  }
  if (today && minute < today[0]) {
    return {open: false, inDays: 0, day: now.getDay(), from: today[0]};
  }
  for (var ahead = 1; ahead <= 7; ahead++) {
    var day = (now.getDay() + ahead) % 7;
    if (week[day]) {
      return {open: false, inDays: ahead, day: day, from: week[day][0]};
    }
  }
}

// The week from Monday, days with the same hours that follow each other taken together:
// [{first: day, last: day, hours: [opens, closes] or null}, ...]
function spans(branch) {
  var week = BRANCHES[branch];
  var found = [];
  for (var index = 1; index <= 7; index++) {
    var day = index % 7;
    var span = found[found.length - 1];
    if (span && String(span.hours) === String(week[day])) {
      span.last = day;
    } else {
      found.push({first: day, last: day, hours: week[day]});
    }
  }
  return found;
}
